import type { HnswSpec, KernelCall } from '../../../contracts/ann.ts';
import type { BuildOptions } from '../kind.ts';
import { throwIfAborted } from '../rows.ts';
import type { Vectors } from '../vectors.ts';
import { placeGraph } from './graph.ts';
import type { Graph } from './graph.ts';
import { drawLevels, insertionOrder } from './levels.ts';

/** Rows of a batch, as a share of those in the graph already: they do not see each other while they choose. */
const BATCH_SHARE = 1 / 16;
/** And of all rows (2 % in arXiv 2305.04359, section 4). */
const MAX_BATCH_SHARE = 1 / 50;
const MAX_BATCH = 8192;
/** Below that a batch is not worth sending to other threads. */
const MIN_SHARED_BATCH = 16;
/** Rows of one call at most, after which an abort can take effect, and at least, for what a call costs. */
const CALL_ROWS = 64;
const MIN_CALL_ROWS = 4;
/** Calls of a round for each thread: the last to end is waited for, so that it should be short beside all. */
const CALLS_PER_THREAD = 16;

/**
 * Inserts all rows. The graph depends on the rows and the spec alone, however many threads work on it.
 * @throws LookalikeError `cancelled`
 */
export async function buildGraph(
  spec: HnswSpec,
  vectors: Vectors,
  { machine, signal, onProgress }: BuildOptions,
): Promise<Graph> {
  const { kernels, size } = vectors;
  const levels = drawLevels(size, spec.m, spec.seed);
  const graph = await placeGraph(spec, vectors, levels, signal);
  const { head } = graph;
  return kernels.scratchAsync(async () => {
    const order = insertionOrder(levels, spec.seed);
    const orderAt = kernels.place(order);
    const numThreads = machine.threads?.size ?? 1;
    const ef = Math.min(spec.efConstruction, size);
    const chooseRooms = rooms(numThreads * CALLS_PER_THREAD, kernels.run.hnswChooseBytes(head, ef));

    for (let from = 1; from < size;) {
      onProgress?.(from);
      const to = Math.min(size, from + batchRows(from, size));
      const isShared = to - from >= MIN_SHARED_BATCH;
      for (let start = from; start < to; start += chooseRooms.length * CALL_ROWS) {
        const end = Math.min(to, start + chooseRooms.length * CALL_ROWS);
        const numCalls = isShared ? Math.min(chooseRooms.length, Math.ceil((end - start) / MIN_CALL_ROWS)) : 1;
        const cuts = cut(start, end, numCalls);
        await run(
          cuts.map(([a, b], i) => ({ name: 'hnswChooseLinks', args: [head, orderAt, a, b, ef, chooseRooms[i]!] })),
          isShared,
        );
      }
      await takeUp(from, to, isShared ? numThreads * 4 : 1);
      from = to;
    }
    onProgress?.(size);
    return graph;

    async function takeUp(from: number, to: number, parts: number): Promise<void> {
      let numEdges = 0;
      for (let i = from; i < to; i++) numEdges += (levels[order[i]!]! + 1) * spec.m;
      await kernels.scratchAsync(async () => {
        const calls = rooms(parts, kernels.run.hnswTakeUpBytes(head, numEdges)).map((room, part) => ({
          name: 'hnswTakeUp',
          args: [head, orderAt, from, to, part, parts, room],
        }));
        await run(calls, parts > 1);
      });
    }

    async function run(calls: KernelCall[], isShared: boolean): Promise<void> {
      throwIfAborted(signal);
      if (machine.threads !== undefined && isShared) {
        await machine.threads.run(kernels.memory, calls, signal);
        return;
      }
      for (const { name, args } of calls) {
        kernels.run[name as 'hnswTakeUp'](...args);
        if (!isShared) continue;
        await new Promise((resume) => setImmediate(resume));
        throwIfAborted(signal);
      }
    }

    function rooms(count: number, bytes: number): number[] {
      return Array.from({ length: count }, () => kernels.allocate(bytes));
    }
  });
}

/** Rows of the next batch when `numInserted` are in the graph. */
function batchRows(numInserted: number, size: number): number {
  return Math.max(1, Math.floor(Math.min(numInserted * BATCH_SHARE, size * MAX_BATCH_SHARE, MAX_BATCH)));
}

/** [from, to) in at most `count` pieces of nearly equal length. */
function cut(from: number, to: number, count: number): [number, number][] {
  const length = Math.ceil((to - from) / count);
  const pieces: [number, number][] = [];
  for (let start = from; start < to; start += length) pieces.push([start, Math.min(start + length, to)]);
  return pieces;
}
