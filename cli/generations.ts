import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import type { Json } from '../contracts/json.ts';
import type { Generation, GenerationSwitch } from '../contracts/serving.ts';
import { promoteGeneration, rollBack } from '../infra/generations/promote.ts';
import type { Switched, SwitchDeps, SwitchWish } from '../infra/generations/promote.ts';
import { reasonsOf } from '../infra/generations/reasons.ts';
import { CATALOGUE_OPTION, wholeNumber } from './options.ts';
import { handles, withStores } from './run-command.ts';
import type { CommandContext } from './run-command.ts';
import { table } from './table.ts';
import { withTemporal } from './workflows.ts';

interface SwitchOptions {
  catalogue: string;
  reason?: string;
}

/** `generations`, `promote`, `rollback`: what was made, what serves, and another one of them in seconds. */
export function addGenerationCommands(program: Command): void {
  handles<{ catalogue: string }>(
    program
      .command('generations')
      .description('generations of a catalogue, how good they were, and who switched to which')
      .option(...CATALOGUE_OPTION),
    async (context, { catalogue }) =>
      withStores(context, async ({ registry }) => {
        const generations = (await registry.generations.list(catalogue)).reverse();
        const switches = (await registry.generations.switches(catalogue)).reverse();
        context.print({ generations, switches }, () => describeGenerations(generations, switches));
      }),
  );

  handles<SwitchOptions>(
    program
      .command('promote')
      .description('make a generation that served before serve again; nothing is built anew')
      .argument('<generation>', 'its number', wholeNumber(1))
      .option(...CATALOGUE_OPTION)
      .option('--reason <text>', 'recorded with the switch'),
    async (context, options, number) =>
      switchAndTell(context, options, (deps, wish) => promoteGeneration(deps, wish, Number(number))),
  );

  handles<SwitchOptions & { to?: number }>(
    program
      .command('rollback')
      .description('go back to the generation that served before, or to any earlier one; nothing is built anew')
      .option(...CATALOGUE_OPTION)
      .option('--to <generation>', 'its number', wholeNumber(1))
      .option('--reason <text>', 'recorded with the switch'),
    async (context, options) =>
      switchAndTell(context, options, (deps, wish) => rollBack(deps, wish, options.to ?? null)),
  );
}

/** Who sits at this machine, for records of what they asked for. */
export function localUser(): string {
  try {
    return userInfo().username;
  } catch {
    // A process number without an account, as in some containers.
    return 'unknown';
  }
}

async function switchAndTell(
  context: CommandContext,
  { catalogue, reason }: SwitchOptions,
  ask: (deps: SwitchDeps, wish: SwitchWish) => Promise<Switched>,
): Promise<void> {
  await withStores(context, (stores) =>
    withTemporal(context, async (client) => {
      const started = performance.now();
      const wish = { catalogue, by: localUser(), reason: reason ?? null, request: randomUUID() };
      const done = await ask({ stores, client }, wish);
      const seconds = (performance.now() - started) / 1000;
      context.print({ ...done, seconds }, () => describeSwitch(done, seconds));
    }),
  );
}

function describeSwitch({ generation, previous, switched }: Switched, seconds: number): string {
  if (!switched) return `Generation ${generation} serves already.`;
  const before = previous === null ? '' : ` instead of ${previous}`;
  return `Generation ${generation} serves${before}, after ${seconds.toFixed(1)} s.`;
}

/** How generations stand, newest first, and the switches between them. */
export function describeGenerations(generations: Generation[], switches: GenerationSwitch[]): string {
  if (generations.length === 0) return 'No generation yet: run `lookalike retrain`.';
  const lines = [
    table(
      ['GENERATION', 'STATUS', 'RECALL@1', 'INDEX RECALL', 'MADE', 'NOTE'],
      generations.map((row) => [
        ...[row.number, row.status, recallOf(row), fixed(row.metrics.indexRecall), row.createdAt, noteOf(row)],
      ]),
    ),
  ];
  if (switches.length > 0) {
    const rows = switches.map((row) => [row.at, row.how, row.previous, row.generation, row.by, row.reason]);
    lines.push('', table(['SWITCHED', 'HOW', 'FROM', 'TO', 'BY', 'REASON'], rows));
  }
  return lines.join('\n');
}

function recallOf({ metrics }: Generation): string | null {
  const quality = metrics.quality as { candidate?: { recall?: Record<string, unknown> } } | undefined;
  return fixed(quality?.candidate?.recall?.['1']);
}

function fixed(value: unknown): string | null {
  return typeof value === 'number' ? value.toFixed(4) : null;
}

function noteOf({ metrics }: Generation): string | null {
  const reasons = reasonsOf(metrics).join(' ');
  const untrained = typeof metrics.untrained === 'string' ? 'untrained model' : '';
  const forced = forcedBy(metrics.override);
  return [forced, untrained, reasons].filter(Boolean).join('; ') || null;
}

/** Who served it against the gate, and why. */
function forcedBy(override: Json | undefined): string {
  if (typeof override !== 'object' || override === null || Array.isArray(override)) return '';
  const { by, reason } = override;
  return `FORCED${typeof by === 'string' ? ` by ${by}` : ''}${typeof reason === 'string' ? `: ${reason}` : ''}`;
}
