import type { Client } from '@temporalio/client';
import type { Config } from '../../infra/config/env.ts';
import { startSimilarItems } from '../../infra/temporal/similar-client.ts';
import { workflowUrl } from '../../infra/temporal/workflow-list.ts';
import type { SimilarStarter } from '../ports.ts';
import { temporalCalls } from '../training/temporal-calls.ts';

/** Batches of neighbours over a Temporal client, which need not be connected yet. */
export function temporalSimilarStarter(client: Client, config: Pick<Config, 'temporal'>): SimilarStarter {
  const call = temporalCalls(client, config);
  return {
    async start(catalogue, similar) {
      const run = await call(() => startSimilarItems(client, { catalogue, config: similar }));
      return { ...run, temporalUrl: workflowUrl(config, run.workflowId, run.runId) };
    },
  };
}
