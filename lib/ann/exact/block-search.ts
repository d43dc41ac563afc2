import type { AnnMachine, ProductStep, SearchOptions } from '../../../contracts/ann.ts';
import { hasBit } from '../bitmap.ts';
import { throwIfAborted } from '../rows.ts';
import type { Found, Rows } from '../rows.ts';
import { margin } from './margin.ts';
import type { Norms } from './norms.ts';

/** A block's scores against a slice of queries, f32: 1 MiB, which stays in the cache between being written and read. */
const BLOCK_ROWS = 1024;
const SLICE_QUERIES = 256;
/** Queries whose candidates are kept at once; the rows are read once for all of them. */
const CHUNK_QUERIES = 1024;
/** Queries finished between two pauses. */
const FINISH_QUERIES = 64;

/** Candidates kept for `k` answers: enough that rounding rarely leaves it open whether they suffice. */
export const roomFor = (k: number): number => k + 16 + (k >> 1);

/**
 * Compares many prepared queries (f32 [count, dim]) with every allowed row by products of matrices, block by block. The
 * products choose candidates, the kernel of all answers scores them; where it cannot be proved that the true `k` best are
 * among them (many rows as good as equal), that query's answer is `undefined` and is left to a scan.
 */
export async function searchBlocks(
  rows: Rows,
  norms: Norms,
  machine: AnnMachine,
  queries: Float32Array,
  { k, allowed, signal }: Pick<SearchOptions, 'k' | 'allowed' | 'signal'>,
): Promise<(Found | undefined)[]> {
  const { kernels, address, dim, size } = rows.vectors;
  const { run } = kernels;
  const best = Math.min(k, size);
  // One more than there are rows can never fill up: then every row is a candidate.
  const room = Math.min(roomFor(best), size + 1);
  const list = allowed === undefined ? undefined : rowsOf(allowed, size);
  const numRows = list?.length ?? size;
  const product = productOf(rows, machine);

  return kernels.longScratch(async () => {
    const listAt = list === undefined ? 0 : kernels.place(list);
    const chunk = Math.min(CHUNK_QUERIES, queries.length / dim);
    const numLanes = Math.max(1, Math.min(product.lanes, Math.ceil(numRows / BLOCK_ROWS)));
    const lanes = Array.from({ length: numLanes }, () => ({
      block: kernels.allocate(BLOCK_ROWS * SLICE_QUERIES * 4),
      rows: list === undefined ? 0 : kernels.allocate(BLOCK_ROWS * dim * 4),
      bias: list === undefined ? 0 : kernels.allocate(BLOCK_ROWS * 4),
      // Heaps of its own, since blocks end on several threads at once.
      ...{ scores: kernels.allocate(chunk * room * 4), found: kernels.allocate(chunk * room * 4) },
      sizes: kernels.allocate(chunk * 4),
    }));
    const at = {
      ...{ queries: kernels.allocate(chunk * dim * 4), margins: kernels.allocate(chunk * 4) },
      ...{ bars: kernels.allocate(chunk * 4), counts: kernels.allocate(chunk * 4) },
      ...{ bestScores: kernels.allocate(chunk * best * 4), bestRows: kernels.allocate(chunk * best * 4) },
    };
    const answers: (Found | undefined)[] = [];
    for (let from = 0; from < queries.length; from += chunk * dim) {
      answers.push(...(await answerChunk(queries.subarray(from, from + chunk * dim))));
    }
    return answers;

    async function answerChunk(asked: Float32Array): Promise<(Found | undefined)[]> {
      const count = asked.length / dim;
      kernels.f32(at.queries, asked.length).set(asked);
      kernels.f32(at.margins, count).set(margins(asked));
      for (const { sizes } of lanes) kernels.i32(sizes, count).fill(0);
      kernels.f32(at.bars, count).fill(-Infinity);
      let next = 0;
      const work = async (lane: (typeof lanes)[number]): Promise<void> => {
        while (next < numRows) {
          throwIfAborted(signal);
          const first = next;
          next += BLOCK_ROWS;
          await compareBlock(lane, first, Math.min(BLOCK_ROWS, numRows - first), count);
        }
      };
      // What others have begun reads and writes the memory: nobody goes on before all of it has ended.
      for (const lane of await Promise.allSettled(lanes.map(work))) {
        if (lane.status === 'rejected') throw lane.reason;
      }
      for (let i = 0; i < count; i += FINISH_QUERIES) {
        if (i > 0) await new Promise((resume) => setImmediate(resume));
        throwIfAborted(signal);
        finish(i, Math.min(FINISH_QUERIES, count - i));
      }
      const counts = kernels.i32(at.counts, count);
      return Array.from({ length: count }, (_, i) => {
        if (counts[i]! < 0) return undefined;
        const scores = Float32Array.from(kernels.f32(at.bestScores + i * best * 4, counts[i]!));
        return { rows: Int32Array.from(kernels.i32(at.bestRows + i * best * 4, counts[i]!)), scores };
      });
    }

    /** All queries against the rows [first, first + height) of all, or of the list. */
    async function compareBlock(
      lane: (typeof lanes)[number],
      first: number,
      height: number,
      count: number,
    ): Promise<void> {
      const part = listAt === 0 ? 0 : listAt + first * 4;
      let [data, bias] = [address + first * dim * 4, norms.halves === 0 ? 0 : norms.halves + first * 4];
      if (part !== 0) {
        run.gatherRows(address, dim, part, height, lane.rows);
        data = lane.rows;
        if (bias !== 0) run.gatherRows(norms.halves, 1, part, height, (bias = lane.bias));
      }
      const steps: ProductStep[] = [];
      for (let i = 0; i < count; i += SLICE_QUERIES) {
        const heaps = [lane.scores + i * room * 4, lane.found + i * room * 4, lane.sizes + i * 4, at.bars + i * 4];
        const width = Math.min(SLICE_QUERIES, count - i);
        steps.push({
          ...{ rows: data, numRows: height, queries: at.queries + i * dim * 4, numQueries: width, out: lane.block },
          then: { name: 'selectBlock', args: [lane.block, height, width, first, part, bias, room, ...heaps] },
        });
      }
      await product.run(steps);
    }

    function finish(i: number, count: number): void {
      const query = at.queries + i * dim * 4;
      const heapsOf = (lane: (typeof lanes)[number]): number[] => [
        ...[lane.scores + i * room * 4, lane.found + i * room * 4, lane.sizes + i * 4],
      ];
      const [one, ...others] = lanes.map(heapsOf);
      for (const other of others) run.mergeHeaps(count, room, ...other, ...one!);
      const candidates = [...one!, at.margins + i * 4];
      const answer = [at.bestScores + i * best * 4, at.bestRows + i * best * 4, at.counts + i * 4];
      run.finishQueries(address, dim, query, count, rows.kernelMetric, best, room, ...candidates, ...answer);
    }
  });

  function margins(asked: Float32Array): Float32Array {
    return Float32Array.from({ length: asked.length / dim }, (_, i) => {
      let sum = 0;
      for (let j = i * dim; j < (i + 1) * dim; j++) sum += asked[j]! ** 2;
      return margin(dim, rows.metric === 'l2', Math.sqrt(sum), norms.largest);
    });
  }
}

interface Product {
  /** Blocks worth having under way at once. */
  lanes: number;
  /** All steps, in order. */
  run(steps: readonly ProductStep[]): Promise<unknown>;
}

/** The machine's matrix product; else our own kernel, on threads or here. */
function productOf(rows: Rows, { blockProduct, threads }: AnnMachine): Product {
  const { kernels, dim } = rows.vectors;
  if (blockProduct !== undefined) {
    return { lanes: 2 * blockProduct.size, run: (steps) => blockProduct.run(kernels.memory, dim, steps) };
  }
  const argsOf = ({ rows: data, numRows, queries, numQueries, out, then }: ProductStep): number[] => {
    // Of the selection's arguments, those after the shape of the block.
    return [data, numRows, queries, numQueries, dim, out, ...then.args.slice(3)];
  };
  if (threads === undefined) {
    return {
      lanes: 1,
      async run(steps) {
        for (const step of steps) {
          kernels.run.compareBlock(...argsOf(step));
          await new Promise((resume) => setImmediate(resume));
        }
      },
    };
  }
  return {
    lanes: 2 * threads.size,
    async run(steps) {
      for (const step of steps) {
        await threads.run(kernels.memory, [{ name: 'compareBlock', args: argsOf(step) }]);
      }
    },
  };
}

function rowsOf(allowed: Uint32Array, size: number): Int32Array {
  const rows: number[] = [];
  for (let row = 0; row < size; row++) {
    if (allowed[row >>> 5] === 0) row |= 31;
    else if (hasBit(allowed, row)) rows.push(row);
  }
  return Int32Array.from(rows);
}
