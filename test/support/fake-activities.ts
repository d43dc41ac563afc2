import type { IndexSpec } from '../../contracts/ann.ts';
import { ApplicationFailure, Context, sleep } from '@temporalio/activity';
import type {
  BuildActivities,
  CatalogueActivities,
  EmbedActivities,
  GenerationChange,
  ParameterActivities,
  ReplicaActivities,
  SearchHostActivities,
  ServingActivities,
  SimilarActivities,
  SimilarRecordActivities,
  TrainActivities,
  TrainingRecordActivities,
} from '../../activities/interfaces.ts';
import type { QueryOutcome } from '../../contracts/evaluation.ts';
import type { ShardEndpoint } from '../../contracts/serving.ts';
import type { RetrainConfig } from '../../contracts/training.ts';
import type { ServingTarget } from '../../contracts/workflows.ts';
import { compareOutcomes } from '../../lib/eval/compare-outcomes.ts';
import { expectKind } from './expect-kind.ts';
import { FakeGang, fakePartActivities } from './fake-gang.ts';
import { FakeTrials, fakeTrialActivities } from './fake-trials.ts';
import type { SearchActivities } from './fake-trials.ts';
import { FakeSchedules, fakeScheduleActivities } from './fake-schedules.ts';
import type { AllScheduleActivities } from './fake-schedules.ts';
import { quality } from './qualities.ts';

export type AllActivities = CatalogueActivities &
  ServingActivities &
  TrainActivities &
  ReplicaActivities &
  ParameterActivities &
  TrainingRecordActivities &
  BuildActivities &
  EmbedActivities &
  SimilarActivities &
  SimilarRecordActivities &
  AllScheduleActivities &
  SearchActivities;
export type ActivityName = keyof AllActivities;

interface FakeGeneration {
  number: number;
  status: string;
  snapshot: string;
  config: string;
  runId: string;
  model?: string | null;
  index?: string | null;
  reasons?: unknown;
  comparison?: unknown;
  override?: unknown;
  order?: unknown;
  untrained?: unknown;
}

/** An installation in memory: what the fakes read and write, and every call they got. */
export class FakeWorld {
  snapshot = 'snapshot-1';
  numChunks = 3;
  shards = 2;
  numQueries = 4;
  recall: Record<string, number> = { trained: 0.8, pretrained: 0.5 };
  /** Why nothing can be learnt: then no model is trained, and none judged. */
  untrained: { atSnapshot?: string; atTraining?: string } = {};
  generations: FakeGeneration[] = [];
  made = new Set<string>();
  calls: { name: string; input: unknown }[] = [];
  /** Activities that do not end until they are cancelled. */
  stuck = new Set<ActivityName>();
  failing = new Map<ActivityName, ApplicationFailure>();
  hosts = new Set<string>();
  /** Hosts whose process is gone: no heartbeat, no answer. */
  dead = new Set<string>();
  endpoints: ShardEndpoint[] = [];
  /** Generations whose shards never answer a probe. */
  mute = new Set<number>();
  /** Index -> its recorded neighbours. */
  similar = new Map<string, string>();
  schedules = new FakeSchedules();
  drained: string[] = [];
  gang = new FakeGang();
  trials = new FakeTrials();
  closed = false;

  get serving(): FakeGeneration | undefined {
    return this.generations.find(({ status }) => status === 'serving');
  }

  names(): string[] {
    return this.calls.map(({ name }) => name);
  }

  count(name: ActivityName | 'serveShard'): number {
    return this.names().filter((called) => called === name).length;
  }
}

/** First time made, afterwards found: what the artefact store does. */
function make(world: FakeWorld, artifact: string): { artifact: string; reused: boolean } {
  const reused = world.made.has(artifact);
  world.made.add(artifact);
  return { artifact, reused };
}

/** Strict: each checks its references, records its call, and nothing answers that is not listed here. */
export function fakeActivities(world: FakeWorld, serve?: CatalogueActivities['serveGeneration']): AllActivities {
  /** Queries of one category, of which a model answers the first ones right. */
  const outcomes = (evaluation: string): QueryOutcome[] => {
    const known = Object.keys(world.recall).find((name) => evaluation.startsWith(`evaluation-${name}-`));
    const kind = evaluation.startsWith('evaluation-model-pretrained') ? 'pretrained' : 'trained';
    const recall = world.recall[known ?? kind]!;
    return Array.from({ length: world.numQueries }, (_, i) => {
      return { image: `${i}`, label: 'a', category: 'shoe', rank: i < recall * world.numQueries ? 1 : 2 };
    });
  };
  const activities: AllActivities = {
    async takeSnapshot() {
      const { atSnapshot: untrained } = world.untrained;
      const made = { ...make(world, world.snapshot), numItems: 10, numExamples: 4, numImages: 14 };
      return untrained === undefined ? made : { ...made, untrained };
    },
    async openGeneration({ snapshot, config, always, order }) {
      const { serving } = world;
      const current =
        serving === undefined
          ? null
          : {
              ...{ generation: serving.number, model: serving.model!, index: serving.index! },
              ...(serving.untrained !== undefined && { untrained: true as const }),
            };
      const spec = JSON.stringify(config);
      if (!always && serving?.snapshot === snapshot && serving.config === spec) {
        return { generation: serving.number, created: false, serving: current };
      }
      const { runId } = Context.current().info.workflowExecution!;
      const own = world.generations.find((generation) => generation.runId === runId);
      if (own !== undefined) return { generation: own.number, created: true, serving: current };
      const number = world.generations.length + 1;
      world.generations.push({ number, status: 'building', snapshot, config: spec, runId, order });
      return { generation: number, created: true, serving: current };
    },
    async recordGeneration({ generation, change }) {
      const row = world.generations[generation - 1];
      if (row === undefined) throw ApplicationFailure.nonRetryable(`no generation ${generation}`, 'notFound');
      if (row.status !== 'building') return;
      const { metrics, ...rest }: GenerationChange = change;
      const { reasons, untrained, comparison, override } = metrics ?? {};
      const told = Object.entries({ reasons, untrained, comparison, override }).filter(([, it]) => it !== undefined);
      Object.assign(row, rest, Object.fromEntries(told));
    },
    async describeModel({ model }) {
      const isBackbone = model.startsWith('model-backbone');
      return {
        stage: isBackbone ? 'backbone' : 'embedding',
        name: model,
        dim: 4,
        backbone: isBackbone ? model : 'model-backbone',
      };
    },
    serveGeneration:
      serve ??
      (async ({ target }) => {
        const previous = world.serving ?? null;
        if (previous !== null) previous.status = 'retired';
        world.generations[target.generation - 1]!.status = 'serving';
        return { previous: previous?.number ?? null, generation: target.generation };
      }),
    async describeIndex({ index }) {
      expectKind(index, 'index');
      return { shards: Array.from({ length: world.shards }, (_, shard) => `shard-${index}-${shard}`) };
    },
    async listSearchHosts() {
      const hosts = [...world.hosts].filter((host) => !world.dead.has(host));
      const rows = hosts.map((host) => ({ host, kind: 'search' as const, url: `http://${host}`, taskQueue: host }));
      return { hosts: rows, endpoints: world.endpoints };
    },
    async probeGeneration({ target, numShards }) {
      const answering = world.endpoints.filter(
        (row) => row.generation === target.generation && !world.dead.has(row.host),
      );
      const shards = new Set(answering.map(({ shard }) => shard));
      if (world.mute.has(target.generation) || shards.size < numShards) {
        throw ApplicationFailure.retryable(`${shards.size} of ${numShards} shards answer`, 'unavailable');
      }
    },
    async switchGeneration({ generation }) {
      const previous = world.serving ?? null;
      if (previous?.number === generation) return { previous: null };
      if (previous !== null) previous.status = 'retired';
      world.generations[generation - 1]!.status = 'serving';
      return { previous: previous?.number ?? null };
    },
    async forgetReplica({ generation, shard, replica }) {
      world.endpoints = world.endpoints.filter(
        (row) => row.generation !== generation || row.shard !== shard || row.replica !== replica,
      );
    },
    ensureBackbone: async () => make(world, 'model-backbone'),
    async ensurePretrained({ backbone }) {
      expectKind(backbone, 'model');
      return make(world, 'model-pretrained');
    },
    async trainHead(input) {
      expectKind(input.features, 'embeddings');
      const { atTraining: untrained } = world.untrained;
      if (untrained !== undefined) return { model: 'model-pretrained', reused: true, metrics: {}, untrained };
      const { artifact, reused } = make(world, `model-trained-${input.snapshot}-${input.config.seed}`);
      return { model: artifact, reused, metrics: {} };
    },
    async finetuneBackbone({ snapshot, backbone, config }) {
      expectKind(snapshot, 'snapshot');
      expectKind(backbone, 'model');
      const { atTraining: untrained } = world.untrained;
      if (untrained !== undefined) return { backbone, reused: true, metrics: {}, untrained };
      const { artifact, reused } = make(world, `model-backbone-tuned-${snapshot}-${config.seed}`);
      return { backbone: artifact, reused, metrics: {} };
    },
    ...fakePartActivities(world.gang, (input) => activities.trainHead(input)),
    ...fakeTrialActivities(world.trials, (artifact) => make(world, artifact)),
    async planEmbedding({ snapshot, model, views }) {
      expectKind(model, 'model');
      const embeddings = `embeddings-${model}-${snapshot}-${views}`;
      const found = world.made.has(embeddings) ? embeddings : null;
      return {
        plan: `embeddingPlan-${model}-${snapshot}-${views}`,
        embeddings: found,
        numChunks: world.numChunks,
        numImages: 14,
        numReused: found === null ? 0 : 14,
        numRejected: 0,
      };
    },
    async assembleEmbeddings({ plan }) {
      expectKind(plan, 'embeddingPlan');
      return { ...make(world, plan.replace('embeddingPlan', 'embeddings')), numRejected: 1 };
    },
    async embedChunk({ plan, chunk }) {
      expectKind(plan, 'embeddingPlan');
      if (chunk < 0 || chunk >= world.numChunks) throw ApplicationFailure.nonRetryable(`no chunk ${chunk}`);
      return { numEmbedded: 4, numRejected: chunk === 0 ? 1 : 0 };
    },
    async applyHead({ snapshot, features, model }) {
      expectKind(features, 'embeddings');
      return { ...make(world, `embeddings-${model}-${snapshot}`), numImages: 14, numRejected: 1 };
    },
    async evaluateModel({ snapshot, features, model }) {
      expectKind(features, 'embeddings');
      const key = model.includes('trained-') ? 'trained' : 'pretrained';
      const made = make(world, `evaluation-${model}-${snapshot}`);
      if (world.untrained.atTraining !== undefined) {
        return { ...made, quality: { numQueries: 0, numCatalogue: 0, recall: {}, mAP: null } };
      }
      return { ...made, quality: quality(world.recall[model] ?? world.recall[key]!, world.numQueries) };
    },
    async compareModels({ candidate, pretrained, serving, categoryQueries }) {
      for (const one of [candidate, pretrained]) expectKind(one, 'evaluation');
      const against = (other: string) => compareOutcomes(outcomes(candidate), outcomes(other), categoryQueries);
      return {
        ...make(world, `comparison-${candidate}-${serving}`),
        evaluationSet: 'set-1',
        pretrained: against(pretrained),
        serving: serving === null ? null : against(serving),
      };
    },
    async servingIndex({ catalogue }) {
      const { serving } = world;
      if (serving === undefined || typeof serving.index !== 'string')
        throw ApplicationFailure.nonRetryable(`nothing serves ${catalogue}`, 'notFound');
      return { generation: serving.number, index: serving.index };
    },
    async planSimilar({ index }) {
      expectKind(index, 'index');
      const similar = `similar-${index}`;
      return { similar: world.made.has(similar) ? similar : null, numChunks: world.numChunks, numItems: 10 };
    },
    async findSimilarChunk({ index, chunk }) {
      expectKind(index, 'index');
      if (chunk < 0 || chunk >= world.numChunks) throw ApplicationFailure.nonRetryable(`no chunk ${chunk}`);
      return make(world, `similarChunk-${index}-${chunk}`);
    },
    async assembleSimilar({ index }) {
      const missing = [...Array(world.numChunks).keys()].filter((i) => !world.made.has(`similarChunk-${index}-${i}`));
      if (missing.length > 0) throw ApplicationFailure.nonRetryable(`chunks ${missing.join()} are missing`);
      return { ...make(world, `similar-${index}`), numItems: 10, numGroups: 1, numGrouped: 2 };
    },
    async recordSimilar({ index, similar }) {
      world.similar.set(index, similar);
    },
    ...fakeScheduleActivities(world.schedules),
    async chooseIndex({ embeddings, wish }) {
      expectKind(embeddings, 'embeddings');
      const spec = {
        kind: 'ivf',
        metric: wish.metric,
        numLists: 8,
        nprobe: 2,
        codes: { kind: 'flat' },
        rescore: 0,
        seed: 1,
      };
      return { ...make(world, `indexChoice-${embeddings}`), spec: spec as IndexSpec, reason: 'ivf answers soonest.' };
    },
    async buildShard({ embeddings, shard }) {
      expectKind(embeddings, 'embeddings');
      return make(world, `shard-${embeddings}-${shard}`);
    },
    async publishIndex({ embeddings, shards }) {
      shards.forEach((shard) => expectKind(shard, 'shard'));
      return { ...make(world, `index-${embeddings}`), recall: 0.99 };
    },
  };
  return watched(world, activities);
}

/** The fake of one index worker: serves until cancelled; falls silent when its host is dead. */
export function fakeSearchHost(world: FakeWorld, host: string): SearchHostActivities {
  world.hosts.add(host);
  return {
    async serveShard(input) {
      world.calls.push({ name: 'serveShard', input: { ...input, host } });
      const { generation, shard, replica, artifact } = input;
      const row: ShardEndpoint = { generation, shard, replica, url: `http://${host}`, host, artifact };
      const same = (other: ShardEndpoint): boolean =>
        other.generation === generation && other.shard === shard && other.replica === replica;
      world.endpoints = [...world.endpoints.filter((other) => !same(other)), row];
      let rotated = false;
      try {
        const until = Date.now() + (input.stayMs ?? Infinity);
        while (!world.closed && Date.now() < until) {
          if (!world.dead.has(host)) Context.current().heartbeat();
          await sleep(50);
        }
        rotated = true;
        return 'rotated';
      } finally {
        if (!world.dead.has(host) && !rotated) {
          world.endpoints = world.endpoints.filter((other) => other !== row);
          world.drained.push(`g${generation}/s${shard}/r${replica}@${host}`);
        }
      }
    },
  };
}

export function target(generation: number, more: Partial<ServingTarget> = {}): ServingTarget {
  return {
    generation,
    index: `index-${generation}`,
    model: `model-${generation}`,
    numReplicas: 1,
    drainDelayMs: 10,
    ...more,
  };
}

export const retrainConfig: RetrainConfig = {
  recipe: 'fake',
  backbone: 'fake-backbone',
  views: 2,
  train: {
    strategy: 'single',
    dim: 4,
    loss: { kind: 'proxySoftmax', scale: 16, margin: 0.1 },
    optimizer: { kind: 'adam', learningRate: 0.001, weightDecay: 0, momentum: 0 },
    schedule: { warmupEpochs: 0 },
    epochs: 1,
    labelsPerBatch: 2,
    samplesPerLabel: 2,
    featureDropout: 0,
    patience: 0,
    checkpointEverySteps: 1,
    seed: 1,
  },
  index: { kind: 'exact', metric: 'cosine' },
  numShards: 2,
  numReplicas: 1,
  gate: { maxRecallDrop: 0.02, minIndexRecall: 0.9 },
};

/** Records each call; a stuck activity hangs until it is cancelled, a failing one fails. */
function watched(world: FakeWorld, activities: AllActivities): AllActivities {
  const entries = Object.entries(activities).map(([name, run]) => [
    name,
    async (input: unknown): Promise<unknown> => {
      world.calls.push({ name, input });
      Context.current().heartbeat();
      const failure = world.failing.get(name as ActivityName);
      if (failure !== undefined) throw failure;
      while (world.stuck.has(name as ActivityName)) {
        Context.current().heartbeat();
        await sleep(20);
      }
      return (run as (input: unknown) => Promise<unknown>)(input);
    },
  ]);
  return Object.fromEntries(entries) as AllActivities;
}
