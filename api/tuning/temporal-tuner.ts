import type { Client } from '@temporalio/client';
import { LookalikeError } from '../../contracts/errors.ts';
import type { TuneConfig, TuneOutput } from '../../contracts/tuning.ts';
import { workflowIds } from '../../contracts/workflows.ts';
import type { Config } from '../../infra/config/env.ts';
import { cancelRetrain, describeRetrain } from '../../infra/temporal/retrain-client.ts';
import { startTune, tuneView } from '../../infra/temporal/tune-client.ts';
import { workflowUrl } from '../../infra/temporal/workflow-list.ts';
import { resolveTuneConfig } from '../../infra/tune/resolve-tune.ts';
import type { Tuner, TuneWish } from '../ports.ts';
import { temporalCalls } from '../training/temporal-calls.ts';
import { RUN_STATUS, orUndefined, outcomeOf } from '../training/temporal-retrainer.ts';
import type { Recipes } from '../training/temporal-retrainer.ts';

/** The trials are told by an orchestrator; while none answers, the search is told without them. */
const VIEW_MS = 2_000;

/** Searches over a Temporal client, which need not be connected yet. */
export function temporalTuner(client: Client, config: Pick<Config, 'temporal'>, recipes: Recipes): Tuner {
  const call = temporalCalls(client, config);
  return {
    async start(catalogue, wish) {
      const search = searchOf(wish, recipes);
      const run = await call(() => startTune(client, { catalogue, config: search }));
      return { ...run, temporalUrl: workflowUrl(config, run.workflowId, run.runId) };
    },
    async status(catalogue) {
      const run = await call(() => describeRetrain(client, workflowIds.tune(catalogue))).catch(orUndefined);
      if (run === undefined) return undefined;
      const [view, end] = await Promise.all([
        call(() => tuneView(client, catalogue, run.runId), VIEW_MS).catch(() => null),
        run.closeTime === null ? undefined : call(() => outcomeOf<TuneOutput>(client, run)),
      ]);
      const { workflowId, runId, startTime: startedAt, closeTime: closedAt } = run;
      return {
        ...{ workflowId, runId, startedAt, closedAt, view },
        status: RUN_STATUS[run.status] ?? 'failed',
        output: end?.output ?? null,
        failure: end?.failure ?? null,
        temporalUrl: workflowUrl(config, workflowId, runId),
      };
    },
    cancel: (catalogue) => call(() => cancelRetrain(client, workflowIds.tune(catalogue))),
  };
}

/** @throws LookalikeError `invalidInput` with every contradiction */
function searchOf({ recipe, config, set, ...request }: TuneWish, recipes: Recipes): TuneConfig {
  const search = resolveTuneConfig(recipes.resolve({ recipe, config, set }), request);
  const backbones = search.space['backbone'];
  const named = backbones?.kind === 'choice' ? backbones.values : [];
  // As for the base: a key for writing is none for the server's files.
  if (named.some((value) => typeof value === 'string' && value.startsWith('file:'))) {
    throw new LookalikeError(
      'invalidInput',
      'Expected backbones by name or by the id of a model artefact, got a file.',
    );
  }
  return search;
}
