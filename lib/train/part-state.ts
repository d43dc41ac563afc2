import type { TrainConfig } from '../../contracts/training.ts';
import { untouched } from '../pipeline/part-state.ts';
import type { ShardSeed } from '../sync/protocol.ts';
import { initialRange } from './head-model.ts';
import type { HeadShape } from './head-layers.ts';
import type { Segment } from './model-parallel-plan.ts';

/** What a training state consists of, by the names of its groups in a checkpoint. */
export const STATE_GROUPS = ['value', 'first', 'second'] as const;
export type StateGroup = (typeof STATE_GROUPS)[number];

/** One group of a part's state. */
export function groupOf(state: Readonly<ShardSeed>, group: StateGroup): Float32Array {
  return { value: state.values, first: state.firstMoments, second: state.secondMoments }[group];
}

/** Which groups an optimiser touches; the others are zero. */
export function groupsOf(kind: TrainConfig['optimizer']['kind']): StateGroup[] {
  return kind === 'adam' ? ['value', 'first', 'second'] : ['value', 'first'];
}

/** A saved state, of which a part reads no more than is its own. */
export interface StateReader {
  /** Steps done. */
  step: number;
  /** Fills `into` with the values from `start` on. */
  read: (group: StateGroup, name: string, start: number, into: Float32Array) => Promise<void>;
}

/** What a part starts from: its share of a saved state or, without one, of the initial values. */
export async function partStateOf(
  segments: readonly Segment[],
  { config, shape }: { config: TrainConfig; shape: HeadShape },
  saved: StateReader | null,
): Promise<ShardSeed> {
  const { kind } = config.optimizer;
  const length = lengthOf(segments);
  const state = untouched(new Float32Array(length), kind);
  let at = 0;
  for (const { name, start, end } of segments) {
    const range = [at, (at += end - start)] as const;
    if (saved === null) state.values.set(initialRange(config, shape, name, start, end), range[0]);
    else {
      for (const group of groupsOf(kind)) {
        await saved.read(group, name, start, groupOf(state, group).subarray(...range));
      }
    }
  }
  return { ...state, step: saved?.step ?? 0 };
}

export function lengthOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, { start, end }) => sum + end - start, 0);
}

/** Calls back with each piece of `values`, which lie from `at` on in the vector of these segments, and where in a parameter it belongs. */
export async function eachPiece(
  segments: readonly Segment[],
  at: number,
  values: Float32Array,
  take: (name: string, start: number, values: Float32Array) => Promise<void> | void,
): Promise<void> {
  let offset = 0;
  for (const { name, start, end } of segments) {
    const [from, to] = [Math.max(at, offset), Math.min(at + values.length, offset + end - start)];
    if (from < to) await take(name, start + from - offset, values.subarray(from - at, to - at));
    offset += end - start;
  }
}
