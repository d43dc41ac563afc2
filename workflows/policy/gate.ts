import type { CategoryRecall, GateComparison, ModelComparison } from '../../contracts/evaluation.ts';
import type { RetrainConfig, RetrievalQuality } from '../../contracts/training.ts';

export interface GateInput {
  candidate: RetrievalQuality;
  pretrained: RetrievalQuality;
  /** Absent while nothing serves; then the untrained model is the yardstick. */
  serving: RetrievalQuality | null;
  /** The candidate is the untrained model and what serves is a trained one. */
  replacesTrained: boolean;
  /** Query by query; null where there are no queries, and in runs that began before the gate compared so. */
  comparison: Pick<GateComparison, 'pretrained' | 'serving'> | null;
  gate: RetrainConfig['gate'];
  force: boolean;
}

export interface Verdict {
  accepted: boolean;
  /** In words, also of what was waved through. */
  reasons: string[];
  /** Refused, and served all the same because the run was forced. */
  overruled: boolean;
}

/**
 * Whether a candidate may serve: its recall@1 may lie at most `maxRecallDrop` below that of the serving model, or of the
 * untrained model while none serves, all measured on the same held-out queries. A larger drop refuses unless it is within noise: on
 * 50 queries or more, a sign test over the queries that only one of the two answers right must be significant. Categories with enough
 * queries must not drop either, by the same test corrected for their number. Without queries nothing can be judged and the
 * candidate passes, saying so, unless it would throw away what was learnt.
 */
export function judge(input: GateInput): Verdict {
  const { candidate, replacesTrained, force } = input;
  if (candidate.numQueries === 0) {
    const reason = 'Not judged: no held-out picture with a known answer tells models apart.';
    if (!replacesTrained) return { accepted: true, reasons: [reason], overruled: false };
    const loss = `${reason} The untrained model would replace the trained one that serves.`;
    return refused(force ? [loss] : [`${loss} Bring the labels back, or force the run.`], [], force);
  }
  const faults: string[] = [];
  const remarks: string[] = [];
  judgeOverall(input, faults, remarks);
  judgeCategories(input, faults);
  remarks.push(...missedBaseline(input));
  if (faults.length === 0) return { accepted: true, reasons: remarks, overruled: false };
  return refused(faults, remarks, force);
}

function refused(faults: string[], remarks: string[], force: boolean): Verdict {
  const reasons = [...faults, ...remarks];
  return force
    ? { accepted: true, reasons: [...reasons, FORCED], overruled: true }
    : { accepted: false, reasons, overruled: false };
}

function judgeOverall(input: GateInput, faults: string[], remarks: string[]): void {
  const { candidate, pretrained, serving, comparison, gate } = input;
  const [yardstick, name] = serving === null ? [pretrained, 'untrained'] : [serving, 'serving'];
  const paired = yardstickOf(comparison);
  const got = recallAt1(candidate);
  const expected = recallAt1(yardstick) - gate.maxRecallDrop;
  if (got >= expected - ROUNDING) return;
  const drop = `recall@1 of the candidate to be at least ${round(expected)} (${name} model ${round(recallAt1(yardstick))} minus ${gate.maxRecallDrop}), got ${round(got)} on ${candidate.numQueries} queries`;
  const significance = gate.significance ?? 1;
  if (paired !== null && candidate.numQueries >= MIN_QUERIES && paired.pWorse >= significance) {
    remarks.push(`Within noise: expected ${drop}${counts(paired)}, which is not below ${significance}.`);
    return;
  }
  faults.push(`Expected ${drop}${paired === null ? '' : counts(paired)}.`);
}

function judgeCategories({ comparison, gate }: GateInput, faults: string[]): void {
  const paired = yardstickOf(comparison);
  const worse = (paired?.categories ?? []).filter(
    (category) =>
      category.yardstick - category.candidate > gate.maxRecallDrop + ROUNDING &&
      category.adjusted < (gate.significance ?? 1),
  );
  if (paired === null || worse.length === 0) return;
  const told = worse.slice(0, MAX_TOLD).map(describeCategory).join('; ');
  const more = worse.length > MAX_TOLD ? ` and ${worse.length - MAX_TOLD} more` : '';
  faults.push(
    `Expected no category to lose more than ${gate.maxRecallDrop} of its recall@1, but ${told}${more} ` +
      `(p corrected for ${paired.numCategories} categories).`,
  );
}

/** Better than what serves, or equal, and still worse than no training at all: no reason to keep what serves, but worth knowing. */
function missedBaseline({ comparison, serving, gate }: GateInput): string[] {
  if (comparison === null || serving === null) return [];
  const { pretrained } = comparison;
  if (pretrained.candidate >= pretrained.yardstick || pretrained.pWorse >= (gate.significance ?? 1)) return [];
  return [
    `The untrained model does better: recall@1 ${round(pretrained.yardstick)} instead of ${round(pretrained.candidate)}${counts(pretrained)}.`,
  ];
}

function yardstickOf(comparison: GateInput['comparison']): ModelComparison | null {
  return comparison === null ? null : (comparison.serving ?? comparison.pretrained);
}

function counts({ won, lost, pWorse }: ModelComparison): string {
  return `: ${lost} lost, ${won} won, p = ${chance(pWorse)}`;
}

function describeCategory({ category, candidate, yardstick, numQueries, won, lost, adjusted }: CategoryRecall): string {
  return (
    `"${category}" fell from ${round(yardstick)} to ${round(candidate)} on ${numQueries} queries ` +
    `(${lost} lost, ${won} won, p = ${chance(adjusted)})`
  );
}

const FORCED = 'Served all the same: the run was forced.';

/** Below this many queries a sign test misses losses that matter. */
const MIN_QUERIES = 50;

const MAX_TOLD = 5;

/** Two recalls that are equal on paper may differ by this much in floating point. */
const ROUNDING = 1e-9;

function recallAt1(quality: RetrievalQuality): number {
  return quality.recall['1'] ?? Number.NaN;
}

function round(value: number): string {
  return value.toFixed(4);
}

function chance(value: number): string {
  return value >= 0.001 ? value.toFixed(3) : value.toExponential(1);
}
