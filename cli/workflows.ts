import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import type { CatalogueFilter } from './workflow-view.ts';
import { connectClient } from '../infra/temporal/connection.ts';
import { cancelRetrain } from '../infra/temporal/retrain-client.ts';
import { listWorkflows, workflowUrl } from '../infra/temporal/workflow-list.ts';
import { catalogueName, wholeNumber } from './options.ts';
import { handles } from './run-command.ts';
import type { CommandContext } from './run-command.ts';
import { table } from './table.ts';
import { describeRun, showRun } from './workflow-view.ts';

/** `workflows list | show | cancel`: what Temporal knows of this installation's runs. */
export function addWorkflowCommands(program: Command): void {
  const group = program.command('workflows').description('durable runs: retraining and what keeps indices served');

  handles<CatalogueFilter & { limit: number }>(
    group
      .command('list')
      .description('runs, newest first')
      .option('--catalogue <name>', 'only of this catalogue', catalogueName)
      .option(
        '--kind <kind>',
        'retrain, train, tune, trial, embedCatalogue, buildIndex, serveIndex, similarItems or checkRetrain',
      )
      .option('--limit <n>', 'how many', wholeNumber(1, 1_000), 20),
    async (context, options) =>
      withTemporal(context, async (client) => {
        const workflows = (await listWorkflows(client, options)).map((run) => ({
          ...run,
          url: workflowUrl(context.config, run.workflowId, run.runId),
        }));
        context.print({ workflows }, () =>
          table(
            ['WORKFLOW', 'STATUS', 'OUTCOME', 'STARTED', 'RUN'],
            workflows.map((run) => [run.workflowId, run.status, run.outcome, run.startTime, run.runId]),
          ),
        );
      }),
  );

  handles<{ run?: string }>(
    group
      .command('show <workflow>')
      .description('one run, for example retrain/default or tune/default: its steps, live figures and result')
      .option('--run <id>', 'an earlier run of the same workflow'),
    async (context, { run }, workflowId = '') =>
      withTemporal(context, async (client) => {
        const view = await showRun(client, context.config, workflowId, run);
        context.print(view, () => describeRun(view));
      }),
  );

  handles(
    group
      .command('cancel <workflow>')
      .description(
        'ask a run to stop: what serves is not touched, finished artefacts stay, a search keeps its best so far',
      ),
    async (context, _options, workflowId = '') =>
      withTemporal(context, async (client) => {
        await cancelRetrain(client, workflowId);
        context.print({ workflowId, asked: true }, () => `Asked ${workflowId} to stop.`);
      }),
  );
}

/** A Temporal client for the time of `work`. */
export async function withTemporal<T>(context: CommandContext, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await connectClient(context.config);
  try {
    return await work(client);
  } finally {
    await client.connection.close();
  }
}
