import type { Command } from 'commander';
import { request } from 'undici';
import { stopStack } from '../infra/supervisor/down.ts';
import { isAlive } from '../infra/supervisor/process-identity.ts';
import { readRunState } from '../infra/supervisor/run-state.ts';
import { describeStack } from './describe-stack.ts';
import { handles, withStores } from './run-command.ts';
import { table } from './table.ts';

/** `status`: which processes run, whether the API answers, what each catalogue serves. */
export function addStatusCommand(program: Command): void {
  handles(program.command('status').description('what runs and what serves'), async (context) => {
    const state = readRunState(context.config);
    const isRunning = state !== undefined && isAlive(state.supervisor);
    const api = isRunning ? await health(state.urls.api) : 'down';
    const catalogues = await withStores(context, async ({ registry }) =>
      Promise.all(
        (await registry.catalogue.catalogues()).map(async (row) => {
          const table = await registry.routing.routingTable(row.catalogue);
          if (table === undefined) return { ...row, generation: null, model: null, untrained: null };
          const { generation, model } = table;
          const metrics = (await registry.generations.get(row.catalogue, generation))?.metrics;
          return { ...row, generation, model, untrained: metrics?.['untrained'] ?? null };
        }),
      ),
    );
    const status = isRunning ? state.status : state === undefined ? 'stopped' : 'killed';
    context.print({ status, api, stack: state ?? null, catalogues }, () =>
      [
        status === 'stopped'
          ? 'Nothing runs here. Start it with `lookalike up`.'
          : `The stack is ${status}, the API ${api}.`,
        ...(status === 'killed'
          ? ['Its supervisor was killed; `lookalike up` carries on, `lookalike down` cleans up.']
          : []),
        ...(state === undefined ? [] : ['', describeStack(state)]),
        '',
        table(
          ['CATALOGUE', 'ITEMS', 'EXAMPLES', 'GENERATION', 'MODEL'],
          catalogues.map((row) => [
            ...[row.catalogue, row.numItems, row.numExamples, row.generation ?? '-'],
            row.untrained === null ? row.model : `${row.model} (untrained)`,
          ]),
        ),
      ].join('\n'),
    );
  });
}

/** `down`: drains and stops the stack of this data directory, or what a killed one left. */
export function addDownCommand(program: Command): void {
  handles(program.command('down').description('drain and stop the stack of this data directory'), async (context) => {
    const outcome = await stopStack(context.config);
    const words = {
      stopped: `Stopped ${outcome.processes.join(', ')}.`,
      cleaned: `The supervisor was gone already; stopped what it had left: ${outcome.processes.join(', ')}.`,
      notRunning: 'Nothing was running.',
    };
    context.print(outcome, () => words[outcome.outcome]);
  });
}

async function health(url: string): Promise<string> {
  try {
    const { body } = await request(`${url}/health/ready`, { signal: AbortSignal.timeout(3_000) });
    const { status } = (await body.json()) as { status?: unknown };
    return typeof status === 'string' ? status.replace('_', ' ') : 'unknown';
  } catch {
    return 'not answering';
  }
}
