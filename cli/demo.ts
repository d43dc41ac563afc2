import { join } from 'node:path';
import type { Command } from 'commander';
import { importCatalogue } from '../infra/import/import-catalogue.ts';
import { writeDemoFiles } from '../infra/demo/emoji.ts';
import type { DemoFiles } from '../infra/demo/emoji.ts';
import { LookalikeError } from '../contracts/errors.ts';
import type { RetrainOutput } from '../contracts/workflows.ts';
import { configOfRunningStack, runningState } from '../infra/supervisor/run-state.ts';
import type { RunState } from '../infra/supervisor/run-state.ts';
import { DEFAULT_COUNTS } from '../infra/supervisor/plan.ts';
import { startStack } from '../infra/supervisor/stack.ts';
import type { Stack } from '../infra/supervisor/stack.ts';
import { resolveRetrainConfig } from '../infra/recipes/resolve.ts';
import { startRetrain } from '../infra/temporal/retrain-client.ts';
import { workflowUrl } from '../infra/temporal/workflow-list.ts';
import { showQueries } from './demo-queries.ts';
import { describeUrls } from './describe-stack.ts';
import { followRetrain } from './follow-retrain.ts';
import { wholeNumber } from './options.ts';
import { formatNumber } from './progress.ts';
import { describeOutcome } from './retrain.ts';
import { handles, withStores } from './run-command.ts';
import type { CommandContext } from './run-command.ts';
import { stackReporter } from './stack-events.ts';
import { untilAborted } from './up.ts';
import { withTemporal } from './workflows.ts';

const CATALOGUE = 'emoji';

interface DemoOptions {
  exit?: boolean;
  items?: number;
}

/** `demo`: the whole way from nothing to search results, on pictures that come with the dependencies. */
export function addDemoCommand(program: Command): void {
  handles<DemoOptions>(
    program
      .command('demo')
      .description('the whole way on emoji: provide, start, import, retrain, search; then serve until Ctrl-C')
      .option('--exit', 'stop after printing instead of serving on')
      .option('--items <n>', 'only this many products', wholeNumber(50)),
    async (context, options) => {
      const running = runningState(context.ownConfig);
      if (running === undefined) {
        await runWithOwnStack(context, options);
      } else {
        context.progress.line(`✔ stack: reused, it runs already (process ${running.supervisor.pid})`);
        await runDemo(context, options, running);
      }
    },
  );
}

async function runWithOwnStack(context: CommandContext, options: DemoOptions): Promise<void> {
  const { progress, logger, signal } = context;
  const stack: Stack = await startStack({
    config: context.ownConfig,
    counts: DEFAULT_COUNTS,
    logger,
    signal,
    onEvent: stackReporter(progress),
  });
  context.onSecondInterrupt(() => stack.kill());
  try {
    await runDemo({ ...context, config: configOfRunningStack(context.ownConfig) }, options, stack.state());
    if (options.exit) return;
    progress.line('\nServing until Ctrl-C. The same command carries on from here.');
    await untilAborted(signal);
  } finally {
    progress.stop();
    await stack.stop();
  }
}

async function runDemo(context: CommandContext, options: DemoOptions, state: RunState): Promise<void> {
  const folder = join(context.config.dataDir, 'demo');
  const files = writeDemoFiles(folder, options.items);
  await importAll(context, files);
  const output = await retrain(context);
  if (output.outcome === 'rejected') {
    throw new LookalikeError(
      'gateRejected',
      `The trained model was refused. ${output.reasons.join(' ')} Too few products? Leave --items out.`,
      { generation: output.generation },
    );
  }
  const sheet = await showQueries(context, { catalogue: CATALOGUE, holdout: files.holdout.path, folder, state });
  context.print({ ...output, contactSheet: sheet, urls: state.urls }, () =>
    [
      '',
      `Held-out queries: ${formatNumber(output.quality.candidate.numQueries)} pictures drawn by another artist than the catalogue's,`,
      'of products whose queries were never learnt from. A result is right when it is the same product.',
      '',
      describeOutcome(output),
      '',
      `Queries with their results: ${sheet.html} (page), ${sheet.png} (picture)`,
      '',
      describeUrls(state),
    ].join('\n'),
  );
}

async function importAll(context: CommandContext, files: DemoFiles): Promise<void> {
  const parts = [
    { name: 'items', as: 'items', file: files.items },
    { name: 'examples', as: { examples: 'train' }, file: files.train },
    { name: 'held out', as: { examples: 'holdout' }, file: files.holdout },
  ] as const;
  await withStores(context, async (stores) => {
    for (const { name, as, file } of parts) {
      const task = context.progress.task(name, 'pictures');
      const { added, changed, unchanged, rejected } = await importCatalogue({
        source: file.path,
        catalogue: CATALOGUE,
        as,
        stores,
        config: context.config,
        signal: context.signal,
        onProgress: ({ done }) => task.update(done, file.numRows),
        onRejected: ({ row, reason }) => context.progress.line(`  row ${row}: ${reason}`),
      });
      const fresh = added + changed;
      const words = [
        ...(fresh > 0 ? [`${formatNumber(fresh)} imported`] : []),
        ...(unchanged > 0 ? [`${formatNumber(unchanged)} reused`] : []),
        ...(rejected.length > 0 ? [`${rejected.length} rejected`] : []),
      ];
      task.finish(words.join(', '));
    }
  });
}

async function retrain(context: CommandContext): Promise<RetrainOutput> {
  const config = resolveRetrainConfig({ recipe: 'demo' });
  return withTemporal(context, async (client) => {
    const run = await startRetrain(client, { catalogue: CATALOGUE, config, force: false });
    const url = workflowUrl(context.config, run.workflowId, run.runId);
    context.progress.line(`• ${run.started ? 'retraining' : 'carrying on with the retraining under way'}: ${url}`);
    return followRetrain({ client, ...run, progress: context.progress, signal: context.signal });
  });
}
