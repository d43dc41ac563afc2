import type { IvfCodes, IvfSpec } from '../../../contracts/ann.ts';
import { randomFrom } from '../../images/random.ts';
import type { BuildOptions } from '../kind.ts';
import type { Call } from '../run-calls.ts';
import type { Lists } from './build.ts';
import { callRunner } from './call-runner.ts';
import { BLOCK_ROWS, expectedBytes } from './expected-bytes.ts';
import { learnRotation } from './opq.ts';
import { numPanelsOf } from './panels.ts';
import { allocatePart, codesKindOf, placeDescriptor, placePart } from './parts.ts';
import type { PlacedIvf } from './parts.ts';
import { learnCodebooks, packCodebooks, sampleSize } from './pq.ts';
import { sampleResiduals } from './residuals.ts';
import { learnSteps } from './sq8.ts';

/** Calls that encode at once, each with scratch of its own, and rows of each. */
const MAX_CALLS = 16;
const ROWS_PER_CALL = 4096;

/** Learns the codes from a sample of what is left of rows beside their centres, then encodes every row, on all threads. */
export async function addCodes(lists: Lists, spec: IvfSpec, options: BuildOptions): Promise<PlacedIvf> {
  const { codes } = spec;
  if (codes.kind === 'flat') return { layout: lists.layout, descriptor: placeDescriptor(lists.layout) };
  const { vectors, numLists, parts } = lists.layout;
  const { kernels, dim, size } = vectors;
  const m = codes.kind === 'pq' ? codes.m : 0;
  const { learnt, halves } = await learn(lists, codes, spec.seed, options);
  const offsets = kernels.i32(parts.offsets!.address, numLists + 1);
  const expected = expectedBytes(spec, { dim, size }, offsets);
  const layout = { ...lists.layout, codesKind: codesKindOf(codes), m, parts: { ...parts, ...learnt } };
  for (const name of ['codes', 'rowBias', 'rowSums'] as const) {
    const bytes = expected[name];
    if (bytes === undefined) continue;
    layout.parts[name] = allocatePart(kernels, bytes);
    kernels.u8(layout.parts[name].address, bytes).fill(0);
  }
  const descriptor = placeDescriptor(layout);
  const run = callRunner(kernels, options.machine, options.signal);
  const scratchBytes = kernels.run.ivfEncodeScratch(descriptor.address);
  const ranges = cutLists(offsets);
  await kernels.longScratch(async () => {
    const args = pqArgs(layout, halves);
    const scratch = Array.from({ length: Math.min(MAX_CALLS, ranges.length) }, () => kernels.allocate(scratchBytes));
    for (let first = 0; first < ranges.length; first += MAX_CALLS) {
      const calls = ranges.slice(first, first + MAX_CALLS).map(([from, to], i): Call => {
        return { name: 'ivfEncode', args: [descriptor.address, from, to, ...args, scratch[i]!] };
      });
      await run(calls);
    }
  });
  return { layout, descriptor };
}

/** Codebooks as `ivfEncode` compares with them, placed in the open scratch. */
function pqArgs({ vectors, m, parts }: PlacedIvf['layout'], halves: Float32Array): number[] {
  const { kernels, dim } = vectors;
  if (m === 0) return [0, 0, 0];
  const [numCells, dsub] = [halves.length, dim / m];
  const numPanels = numPanelsOf(numCells);
  const books = kernels.allocate(numPanels * kernels.run.shortPanelBytes(dsub));
  const scales = kernels.allocate(numCells * 4);
  kernels.run.shortPanels(parts.codebooks!.address, numPanels, dsub, books, scales);
  return [kernels.place(halves), books, scales];
}

async function learn(
  lists: Lists,
  codes: Exclude<IvfCodes, { kind: 'flat' }>,
  seed: number,
  { machine, signal }: BuildOptions,
): Promise<{ learnt: PlacedIvf['layout']['parts']; halves: Float32Array }> {
  const { kernels, dim } = lists.layout.vectors;
  const random = randomFrom(seed + 1);
  const sample = sampleResiduals(lists, codes.kind === 'sq8' ? BLOCK_ROWS * 512 : sampleSize(codes.bits), random);
  if (codes.kind === 'sq8') {
    const { steps, middles } = learnSteps(sample);
    const learnt = { steps: placePart(kernels, steps), middles: placePart(kernels, middles) };
    return { learnt, halves: new Float32Array() };
  }
  const run = callRunner(sample.kernels, machine, signal);
  const rotation = codes.opq ? await learnRotation(sample, codes, random, run) : undefined;
  const centres = await learnCodebooks(sample, codes, random, run);
  const { panels, halves } = packCodebooks(centres, dim, codes);
  return {
    halves,
    learnt: {
      codebooks: placePart(kernels, panels),
      ...(rotation === undefined ? {} : { rotation: placePart(kernels, rotation) }),
    },
  };
}

/** Ranges of lists with about as many rows each. */
function cutLists(offsets: Int32Array): [number, number][] {
  const ranges: [number, number][] = [];
  for (let from = 0; from < offsets.length - 1;) {
    let to = from + 1;
    while (to < offsets.length - 1 && offsets[to + 1]! - offsets[from]! <= ROWS_PER_CALL) to++;
    ranges.push([from, to]);
    from = to;
  }
  return ranges;
}
