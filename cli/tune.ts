import { Option } from 'commander';
import type { Command } from 'commander';
import type { TuneOutput } from '../contracts/tuning.ts';
import { resolveRetrainConfig } from '../infra/recipes/resolve.ts';
import { startTune } from '../infra/temporal/tune-client.ts';
import { workflowUrl } from '../infra/temporal/workflow-list.ts';
import { TUNING_FILE } from '../infra/tune/publish-tuning.ts';
import { readTuneFile, resolveTuneConfig } from '../infra/tune/resolve-tune.ts';
import { SCHEDULER_KINDS, SEARCH_KINDS } from '../infra/tune/schema.ts';
import { followTune } from './follow-tune.ts';
import { CATALOGUE_OPTION, collect, wholeNumber } from './options.ts';
import { readOverrides } from './retrain.ts';
import { handles, withStores } from './run-command.ts';
import type { CommandContext } from './run-command.ts';
import { table } from './table.ts';
import { paramsOf } from './tune-view.ts';
import { withTemporal } from './workflows.ts';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

interface TuneOptions {
  catalogue: string;
  space: string;
  recipe?: string;
  config?: string;
  set?: string[];
  trials?: number;
  search?: string;
  scheduler?: string;
  concurrency?: number;
  seed?: number;
  output?: string;
  wait?: boolean;
}

/** `tune`: starts the durable search for hyper-parameters; or joins the one under way. */
export function addTuneCommand(program: Command): void {
  handles<TuneOptions>(
    program
      .command('tune')
      .description('train with different hyper-parameters, on all trainers at once, and find the best of them')
      .requiredOption('--space <file>', 'what is varied, and how: .yaml or .json (see docs/configuration.md)')
      .option(...CATALOGUE_OPTION)
      .option('--recipe <name>', 'named settings that every trial starts from')
      .option('--config <file>', 'overrides of the recipe from a .yaml or .json file')
      .option('--set <key=value>', 'one override of the recipe, for example train.epochs=20; may be repeated', collect)
      .option('--trials <n>', 'how many trials in all', wholeNumber(1, 500))
      .addOption(new Option('--search <kind>', 'how values are chosen').choices(SEARCH_KINDS))
      .addOption(new Option('--scheduler <kind>', 'when trials go on, wait and end').choices(SCHEDULER_KINDS))
      .option('--concurrency <n>', 'at most so many at once; fewer where fewer trainers live', wholeNumber(1, 500))
      .option('--seed <n>', 'seed of the search', wholeNumber(0, 0xffffffff))
      .option('--wait', 'show the trials until the search ends; exit code 1 if it fails')
      .option('--output <folder>', 'with --wait: copy the table of trials and the drawings there'),
    async (context, options) => {
      const file = options.config === undefined ? undefined : await readOverrides(options.config);
      const base = resolveRetrainConfig({ recipe: options.recipe, file, set: options.set });
      const { trials: numTrials, search, scheduler, concurrency, seed } = options;
      const said = Object.entries({ numTrials, search, scheduler, concurrency, seed }).filter(
        ([, value]) => value !== undefined,
      );
      const config = resolveTuneConfig(base, { ...readTuneFile(options.space), ...Object.fromEntries(said) });
      const { catalogue } = options;
      await withTemporal(context, async (client) => {
        const run = await startTune(client, { catalogue, config });
        const url = workflowUrl(context.config, run.workflowId, run.runId);
        context.progress.line(`${run.started ? 'Started' : 'Joined the search under way:'} ${run.workflowId}  ${url}`);
        if (!options.wait) {
          context.print({ ...run, url }, () => `${run.workflowId} ${run.runId}`);
          return;
        }
        const { progress, signal } = context;
        const output = await followTune({ client, catalogue, runId: run.runId, progress, signal });
        const files = options.output === undefined ? [] : await copyResults(context, output.tuning, options.output);
        context.print({ ...run, url, ...output, files }, () => [describeTuned(output), ...files].join('\n'));
      });
    },
  );
}

/** What came of a search. */
export function describeTuned({ outcome, best, tuning, trials }: TuneOutput): string {
  const rows = trials
    .toSorted((a, b) => (b.value ?? -1) - (a.value ?? -1) || a.id - b.id)
    .map((row) => [
      `${row.id === best.trial ? '*' : ' '}t${String(row.id).padStart(2, '0')}`,
      row.status,
      row.epochs,
      row.value?.toFixed(4) ?? '-',
      paramsOf(row),
      row.reason ?? '',
    ]);
  const kept = outcome === 'cancelled' ? 'The search was cancelled; the best so far is kept.' : '';
  return [
    table(['TRIAL', 'STATUS', 'EPOCHS', 'RECALL@1', 'VALUES', ''], rows),
    '',
    ...(kept === '' ? [] : [kept]),
    `Best: t${String(best.trial).padStart(2, '0')}, validation recall@1 ${best.value.toFixed(4)}: ${paramsOf(best)}`,
    best.model === null
      ? 'Its training was not finished; a retrain goes on from its checkpoint.'
      : `Model: ${best.model}`,
    `Search: ${tuning}`,
    'Serve it: lookalike retrain --from-tune --wait',
  ].join('\n');
}

/** The search's files in a folder of the user's. */
async function copyResults(context: CommandContext, tuning: string, folder: string): Promise<string[]> {
  return withStores(context, async ({ artifacts }) => {
    await mkdir(folder, { recursive: true });
    const { files } = (await artifacts.get(tuning)).manifest;
    const names = Object.keys(files).sort((a, b) => Number(b === TUNING_FILE) - Number(a === TUNING_FILE));
    return Promise.all(
      names.map(async (name) => {
        const path = join(folder, name);
        await copyFile(await artifacts.materialise(tuning, name), path);
        return path;
      }),
    );
  });
}
