import { partId } from '../contracts/data-parallel.ts';
import type { PartRole, ReplicaInput } from '../contracts/data-parallel.ts';
import type { DataParallelConfig, ModelParallelConfig, TrainConfig } from '../contracts/training.ts';
import { parameters, replicas } from './activity-options.ts';
import { describeCut, describeSpread } from './policy/describe-spread.ts';

export type StageInput = Omit<ReplicaInput, 'rank'>;

/** One activity of a training on several processes. */
export interface DividedPart {
  role: PartRole;
  index: number;
  /** For people: `replica 0`, and that as a title, with how many there are. */
  name: string;
  title: string;
  start: (stage: StageInput) => Promise<unknown>;
}

/** How a training is divided over processes. */
export interface Division {
  /** In one sentence. */
  about: string;
  /** In the order in which they are started. */
  parts: readonly DividedPart[];
  /** One of `parts`, which gives what a stage ends in. */
  lead: DividedPart;
}

/** Null where one process trains. */
export function divisionOf({ strategy, dataParallel, modelParallel }: TrainConfig): Division | null {
  if (strategy === 'dataParallel' && dataParallel !== undefined) return byBatch(dataParallel);
  if (strategy === 'modelParallel' && modelParallel !== undefined) return byModel(modelParallel);
  return null;
}

/** Parameter shards, and replicas that meet there; without shards, the replicas are a ring. */
function byBatch(config: DataParallelConfig): Division {
  const { replicas: numReplicas, exchange } = config;
  const numShards = exchange.kind === 'parameterServer' ? exchange.shards : 0;
  const shards = Array.from({ length: numShards }, (_, shard) =>
    part('parameters', shard, `parameter shard ${shard}`, numShards, (options, stage) =>
      parameters.serveParameters.executeWithOptions(options, [{ ...stage, shard }]),
    ),
  );
  const ranks = Array.from({ length: numReplicas }, (_, rank) =>
    part('replica', rank, `replica ${rank}`, numReplicas, (options, stage) =>
      replicas.trainReplica.executeWithOptions(options, [{ ...stage, rank }]),
    ),
  );
  return { about: describeSpread(config), parts: [...shards, ...ranks], lead: ranks[0]! };
}

/** The stages of a pipeline, and the blocks of its classifier beside the one in the last stage. */
function byModel(config: ModelParallelConfig): Division {
  const { stages, classifierParts } = config;
  const parts = Array.from({ length: stages + classifierParts - 1 }, (_, index) => {
    const [name, of] =
      index < stages ? [`stage ${index}`, stages] : [`classifier part ${index - stages + 1}`, classifierParts];
    return part('stage', index, name, of, (options, stage) =>
      replicas.trainStagePart.executeWithOptions(options, [{ ...stage, index }]),
    );
  });
  return { about: describeCut(config), parts, lead: parts[0]! };
}

function part(
  role: PartRole,
  index: number,
  name: string,
  of: number,
  start: (options: { activityId: string; summary: string }, stage: StageInput) => Promise<unknown>,
): DividedPart {
  const title = `${name[0]!.toUpperCase()}${name.slice(1)} of ${of}`;
  const leads = index === 0 && role !== 'parameters';
  const options = { activityId: partId(role, index), summary: `${title}${leads ? ', which leads' : ''}` };
  return { role, index, name, title, start: (stage) => start(options, stage) };
}
