import type { AnnMachine, ProductStep, SearchOptions } from '../../../contracts/ann.ts';
import { hasBit } from '../bitmap.ts';
import { inLanes } from '../lanes.ts';
import { throwIfAborted } from '../rows.ts';
import type { Found, Rows } from '../rows.ts';
import { AskedSlice } from './asked.ts';
import { planBlocks } from './block-plan.ts';
import type { Strand } from './block-plan.ts';
import { productOf } from './block-product.ts';
import { merged } from './found.ts';
import type { Norms } from './norms.ts';
import type { Screen } from './screen.ts';
import { Turns } from './turns.ts';

/** Multiplications and additions asked for at once: some milliseconds, beside which asking costs little. */
const ASKED_AT_ONCE = 2 ** 27;
/** So often at least it is looked at whether bytes tell enough. */
const MAX_BLOCKS = 8;
/** Answers read between two pauses. */
const PAUSE_ROWS = 16_384;

/**
 * Compares many prepared queries (f32 [count, dim]) with every allowed row, block by block. Products of matrices, of bytes where
 * there is a screen, give each pair an upper bound of its score; what cannot be among a query's `k` best is left out, the rest
 * is scored at once by the kernel of all answers.
 */
export async function searchBlocks(
  rows: Rows,
  { norms, screen }: { norms: Norms; screen: Screen | undefined },
  machine: AnnMachine,
  queries: Float32Array,
  { k, allowed, signal }: Pick<SearchOptions, 'k' | 'allowed' | 'signal'>,
): Promise<Found[]> {
  const { kernels, address, dim, size } = rows.vectors;
  const { run } = kernels;
  const best = Math.min(k, size);
  const list = allowed === undefined ? undefined : rowsOf(allowed, size);
  const numRows = list?.length ?? size;
  const count = queries.length / dim;
  const product = productOf(kernels, dim, machine);
  const { width, blockRows, lanes, strands } = planBlocks(count, numRows, dim, best, product.size);
  const usable = product.hasBytes ? screen : undefined;
  const parts: Found[][] = Array.from({ length: count }, () => []);

  await kernels.longScratch(async () => {
    const listAt = list === undefined ? 0 : kernels.place(list);
    const bars = kernels.allocate(count * 4);
    kernels.f32(bars, count).fill(-Infinity);
    const rooms = Array.from({ length: lanes }, () => ({
      slice: new AskedSlice(rows, norms, usable, width, best, blockRows),
      // Copies of listed rows, or of their codes, and what goes with each.
      rows: list === undefined ? 0 : kernels.allocate(blockRows * dim * 4),
      facts: list === undefined ? 0 : kernels.allocate(blockRows * 16),
    }));
    type Room = (typeof rooms)[number];
    await inLanes(rooms, { count: strands.length, size: 1 }, (room, at) => follow(room, strands[at]!));

    async function follow(room: Room, { from, to, first, end }: Strand): Promise<void> {
      const { slice } = room;
      slice.begin(queries.subarray(from * dim, to * dim), bars + from * 4);
      // One block of copies at a time; else as many as are worth asking for.
      const fitting = Math.floor(ASKED_AT_ONCE / (blockRows * width * dim));
      const numBlocks = listAt === 0 ? Math.max(1, Math.min(fitting, MAX_BLOCKS)) : 1;
      const turns = new Turns(best);
      for (let at = first; at < end; at += numBlocks * blockRows) {
        throwIfAborted(signal);
        const stop = Math.min(end, at + numBlocks * blockRows);
        const isCoded = usable !== undefined && turns.isCoded;
        const steps: ProductStep[] = [];
        for (let row = at; row < stop; row += blockRows) {
          steps.push(stepOf(room, isCoded, row, Math.min(blockRows, stop - row)));
        }
        await product.run(steps);
        turns.took(stop - at, slice.numCompared / (to - from));
      }
      for (let i = from; i < to; i++) {
        if ((i - from) % Math.ceil(PAUSE_ROWS / best) === 0) await new Promise((resume) => setImmediate(resume));
        throwIfAborted(signal);
        parts[i]!.push(slice.read(i - from));
      }
    }

    /** The slice against `height` rows, from number `first` of all or of the list. */
    function stepOf({ slice, ...room }: Room, isCoded: boolean, first: number, height: number): ProductStep {
      const part = listAt === 0 ? 0 : listAt + first * 4;
      if (isCoded) {
        const { codes, facts } = usable!;
        if (part === 0) return slice.codedStep(codes + first * dim, height, first, 0, facts + first * 16);
        run.gatherScreened(codes, facts, dim, part, height, room.rows, room.facts);
        return slice.codedStep(room.rows, height, first, part, room.facts);
      }
      const { halves } = norms;
      if (part === 0) {
        return slice.step(address + first * dim * 4, height, first, 0, halves === 0 ? 0 : halves + first * 4);
      }
      run.gatherRows(address, dim, part, height, room.rows);
      if (halves !== 0) run.gatherRows(halves, 1, part, height, room.facts);
      return slice.step(room.rows, height, first, part, halves === 0 ? 0 : room.facts);
    }
  });
  return parts.map((one) => merged(one, best));
}

function rowsOf(allowed: Uint32Array, size: number): Int32Array {
  const rows: number[] = [];
  for (let row = 0; row < size; row++) {
    if (allowed[row >>> 5] === 0) row |= 31;
    else if (hasBit(allowed, row)) rows.push(row);
  }
  return Int32Array.from(rows);
}
