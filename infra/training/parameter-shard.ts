import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ParameterShardInput, ParameterShardProgress } from '../../contracts/data-parallel.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { shardConfigsOf } from '../../lib/sync/layout.ts';
import type { ShardConfig } from '../../lib/sync/protocol.ts';
import { headLayout, planOf } from '../../lib/train/data-parallel-plan.ts';
import { openEmbeddings } from '../embeddings/read-embeddings.ts';
import { createParameterServer } from '../sync/parameter-server.ts';
import type { ChildWork } from './child-main.ts';
import { prepareStage } from './prepare-stage.ts';
import { numLabelsOf, readableOf } from './training-data.ts';

const TELL_EVERY_MS = 500;

/** Tells between two looks at the registry for a successor. */
const TELLS_PER_LOOK = 4;

type ShardJob = ChildWork<ParameterShardInput, ParameterShardProgress>;

/**
 * Serves one shard of the parameters, in memory only, until aborted.
 * @throws LookalikeError `cancelled`; `conflict` once a later attempt is announced in its place, as when its parent was frozen;
 * `unavailable` when one was there before it, or its socket failed
 */
export async function workAsParameterShard(job: ShardJob): Promise<void> {
  const { config, stores, input, attempt, logger, signal, onProgress } = job;
  const { run, shard } = input;
  const configs = await shardsOfStage(job);
  if (configs === null) {
    // Nothing is trained: the stage is over in a moment.
    if (!signal.aborted) await once(signal, 'abort');
    throw cancelled(shard);
  }
  const own = configs[shard]!;
  const server = await createParameterServer({ config, run, index: shard, shard: own, logger });
  try {
    const { url } = server;
    if (!(await stores.registry.training.announceShard({ run, shard, url, attempt }))) {
      throw new LookalikeError('unavailable', `Parameter shard ${shard} of ${run} has been started again elsewhere.`);
    }
    let failure: LookalikeError | null = null;
    void server.ended.then((error) => (failure = error));
    for (let tells = 1; !signal.aborted; tells++) {
      if (failure !== null) throw failure as LookalikeError;
      const { incarnation, statistics } = server.status();
      const { step, numPushes, numDropped, staleness } = statistics;
      const { start, end } = own.range;
      onProgress({
        ...{ shard, numShards: configs.length, numParameters: end - start },
        ...{ incarnation, step, numPushes, numDropped, staleness },
      });
      await sleep(TELL_EVERY_MS, undefined, { signal }).catch(() => undefined);
      if (tells % TELLS_PER_LOOK === 0) await expectNoSuccessor(job, url);
    }
    await stores.registry.training.withdrawShard({ run, shard, url });
    throw cancelled(shard);
  } finally {
    await server.close();
  }
}

/** @throws LookalikeError `conflict` */
async function expectNoSuccessor({ stores, input: { run, shard } }: ShardJob, url: string): Promise<void> {
  // A registry that is away for a moment says nothing about a successor.
  const all = await stores.registry.training.shards(run).catch(() => []);
  const announced = all.find((each) => each.shard === shard);
  if (announced === undefined || announced.url === url) return;
  throw new LookalikeError(
    'conflict',
    `Parameter shard ${shard} of ${run} is served by attempt ${announced.attempt} now.`,
  );
}

/** What each shard holds, known from the data's shape alone; null when nothing is trained. */
async function shardsOfStage({ stores, input }: ShardJob): Promise<ShardConfig[] | null> {
  const stage = await prepareStage(stores, input.train, input.stage);
  if (stage.why !== null || (await stores.artifacts.find(stage.derivation)) !== undefined) return null;
  const { config, features } = stage.input;
  await using opened = await openEmbeddings(stores, features);
  const { train } = readableOf(stage.split, new Set(opened.images));
  const shape = { featureDim: opened.dim, hidden: config.hidden ?? [], dim: config.dim, numLabels: numLabelsOf(train) };
  const { exchange } = config.dataParallel!;
  if (exchange.kind !== 'parameterServer') {
    throw new LookalikeError('invalidInput', `Expected the exchange \`parameterServer\`, got \`${exchange.kind}\`.`);
  }
  return shardConfigsOf(headLayout(config, shape), exchange.shards, planOf(config).shard);
}

function cancelled(shard: number): LookalikeError {
  return new LookalikeError('cancelled', `Parameter shard ${shard} was stopped.`);
}
