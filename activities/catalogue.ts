import { isDeepStrictEqual } from 'node:util';
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { SnapshotSummary } from '../contracts/catalogue.ts';
import { LookalikeError } from '../contracts/errors.ts';
import type { JsonObject } from '../contracts/json.ts';
import type { Generation } from '../contracts/serving.ts';
import { codeIdentity } from '../infra/artifacts/code-identity.ts';
import { modelSummaryOf } from '../infra/models/model-summary.ts';
import { createSnapshot } from '../infra/snapshot/create-snapshot.ts';
import { readSnapshotRows } from '../infra/snapshot/read-snapshot.ts';
import type { Stores } from '../infra/stores.ts';
import { whyUntrained } from '../infra/training/training-data.ts';
import { splitSnapshot } from '../lib/train/split.ts';
import { requestSwitch } from '../infra/temporal/serve-client.ts';
import { beating, quick } from './heartbeat.ts';
import type { CatalogueActivities, OpenedGeneration } from './interfaces.ts';
import { servingTarget } from '../infra/temporal/serving-target.ts';

export interface CatalogueDeps {
  stores: Pick<Stores, 'artifacts' | 'registry'>;
  client: Client;
}

/** Snapshots and generations: what a retraining run does to the records. */
export function createCatalogueActivities({ stores, client }: CatalogueDeps): CatalogueActivities {
  const { generations } = stores.registry;

  async function servingOf(catalogue: string): Promise<Generation | undefined> {
    return (await generations.list(catalogue, 'serving'))[0];
  }

  return {
    takeSnapshot: ({ catalogue }) =>
      beating(async ({ signal }) => {
        const { id, manifest } = await createSnapshot(stores, catalogue, signal);
        // Told now, not after hours of features: the rows alone often decide it.
        const untrained = whyUntrained(splitSnapshot(await readSnapshotRows(stores, id, signal)));
        // A snapshot is always written down to know its id; an earlier generation tells whether it is an old one.
        const reused = (await generations.list(catalogue)).some(({ snapshot }) => snapshot === id);
        const { numItems, numExamples, numImages } = manifest.summary as SnapshotSummary;
        const made = { artifact: id, reused, numItems, numExamples, numImages };
        return untrained === null ? made : { ...made, untrained };
      }),

    openGeneration: ({ catalogue, snapshot, config, always, order }) =>
      quick(async () => {
        const now = await servingOf(catalogue);
        const serving: OpenedGeneration['serving'] =
          now === undefined || now.model === null || now.index === null
            ? null
            : {
                ...{ generation: now.number, model: now.model, index: now.index },
                ...(typeof now.metrics.untrained === 'string' && { untrained: true as const }),
              };
        const unchanged = now?.snapshot === snapshot && isDeepStrictEqual(now.metrics.config, toJson(config));
        if (!always && serving !== null && unchanged) {
          return { generation: serving.generation, created: false, serving };
        }
        const run = Context.current().info.workflowExecution;
        if (run === undefined) throw new Error('Expected to run in a workflow.');
        const { workflowId, runId: workflowRunId } = run;
        const made = await generations.create({ catalogue, snapshot, workflowId, workflowRunId });
        const about = {
          config: toJson(config),
          code: toJson(codeIdentity()),
          ...(order !== undefined && { order: toJson(order) }),
        };
        await generations.update(catalogue, made.number, { metrics: { ...made.metrics, ...about } });
        return { generation: made.number, created: true, serving };
      }),

    recordGeneration: ({ catalogue, generation, change }) =>
      quick(async () => {
        const row = await generations.get(catalogue, generation);
        if (row === undefined) {
          throw new LookalikeError('notFound', `Expected generation ${generation} of ${catalogue}, but there is none.`);
        }
        if (row.status !== 'building') return;
        const metrics = { ...row.metrics, ...change.metrics };
        await generations.update(catalogue, generation, { ...change, metrics });
      }),

    describeModel: ({ model }) =>
      quick(async () => {
        const { stage, name, dim, backbone } = modelSummaryOf(await stores.artifacts.get(model));
        return { stage, name, dim, backbone };
      }),

    serveGeneration: ({ catalogue, target }) =>
      beating(async () => {
        const now = await servingOf(catalogue);
        const run = Context.current().info.workflowExecution?.runId ?? 'none';
        return requestSwitch(client, catalogue, target, now === undefined ? null : servingTarget(now), run);
      }),
  };
}

function toJson(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}
