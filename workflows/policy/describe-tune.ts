import type { JsonObject } from '../../contracts/json.ts';
import type { Trial, TuneConfig, TuneState } from '../../contracts/tuning.ts';
import { bestOf, valueOf } from './tune-results.ts';

/** Rows of the table in the Temporal UI: the best, which is what people look for. */
const MAX_ROWS = 20;

/** `learningRate 0.01, loss.kind supCon`: paths without what they all begin with. */
export function describeParams(params: JsonObject): string {
  const parts = Object.entries(params).map(
    ([path, value]) =>
      `${path.replace(/^train\.(optimizer\.)?/, '')} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return parts.length === 0 ? 'the base' : parts.join(', ');
}

/** `3 of 20 trials done, 2 running, 5 paused; best 0.7312 by trial 4`. */
export function describeState({ numTrials }: Pick<TuneConfig, 'numTrials'>, state: TuneState): string {
  const count = (...wanted: Trial['status'][]): number =>
    state.trials.filter(({ status }) => wanted.includes(status)).length;
  const counts = [
    `${state.trials.length} of ${numTrials} trials started`,
    ...(['running', 'paused', 'done', 'stopped', 'failed'] as const).flatMap((status) =>
      count(status) === 0 ? [] : [`${count(status)} ${status}`],
    ),
  ].join(', ');
  const best = bestOf(state);
  return best === null ? counts : `${counts}; best ${valueOf(best)!.toFixed(4)} by trial ${best.id}`;
}

/** The best trials as a table, for the Temporal UI. */
export function describeTrials({ trials }: TuneState): string {
  if (trials.length === 0) return '';
  const ranked = trials.toSorted((a, b) => (valueOf(b) ?? -1) - (valueOf(a) ?? -1) || a.id - b.id).slice(0, MAX_ROWS);
  const rows = ranked.map(({ id, params, status, reason, reports, recall }) => {
    const value = valueOf({ reports, ...(recall !== undefined && { recall }) })?.toFixed(4) ?? '';
    const epochs = reports.at(-1)?.epoch ?? 0;
    const cells = [id, status, epochs, value, describeParams(params), reason ?? ''];
    return `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return ['| trial | status | epochs | best recall@1 | values | |', '|---|---|---|---|---|---|', ...rows].join('\n');
}
