import type { IvfCodes } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { Vectors } from '../vectors.ts';
import { centresOf, numPanelsOf, placeShort } from './panels.ts';

/** What an index of this kind holds beside its rows; each lies in the kernels' memory and is one section of the file. */
export const PARTS = [
  'ids',
  'panels',
  'cellBias',
  'mean',
  'codes',
  'rowBias',
  'codebooks',
  'rotation',
  'steps',
  'middles',
  'rowSums',
  'offsets',
] as const;
export type PartName = (typeof PARTS)[number];

export interface Part {
  address: number;
  bytes: number;
}
/** Addresses and lengths; a part that this index does without is absent. */
export type Parts = Partial<Record<PartName, Part>>;

/** The numbers by which the kernels know them. */
export const CODES_KINDS = { flat: 0, sq8: 1, pq8: 2, pq4: 3 } as const;

export function codesKindOf(codes: IvfCodes): number {
  if (codes.kind === 'pq') return codes.bits === 8 ? CODES_KINDS.pq8 : CODES_KINDS.pq4;
  return CODES_KINDS[codes.kind];
}

/** What the kernels are told: the class `Ivf` in kernels/assembly/ivf-index.ts, field for field. */
const FIELDS = [
  'dim',
  'size',
  'numLists',
  'numPanels',
  'metric',
  'rows',
  'offsets',
  'ids',
  'positions',
  'panels',
  'cellBias',
  'mean',
  'codesKind',
  'codes',
  'rowBias',
  'm',
  'codebooks',
  'zeros',
  'rotation',
  'steps',
  'middles',
  'rowSums',
  'blocks',
  'shortPanels',
  'shortScales',
  'centres',
  'largestNorm',
] as const;

export interface Layout {
  vectors: Vectors;
  kernelMetric: number;
  numLists: number;
  codesKind: number;
  m: number;
  parts: Parts;
}

/** Addresses. */
export interface Descriptor {
  address: number;
  /** i32 [size]: the position of each row. */
  positions: number;
}

export interface PlacedIvf {
  layout: Layout;
  descriptor: Descriptor;
}

export function allocatePart(kernels: Kernels, bytes: number): Part {
  return { address: kernels.allocate(bytes), bytes };
}

export function placePart(kernels: Kernels, values: ArrayBufferView): Part {
  return { address: kernels.place(values), bytes: values.byteLength };
}

/** Places what can be told from the parts alone, and the descriptor; answers where it and the rows' positions lie. */
export function placeDescriptor(layout: Layout): Descriptor {
  const { vectors, kernelMetric, numLists, codesKind, m, parts } = layout;
  const { kernels, dim, size } = vectors;
  if (size === 0) return { address: 0, positions: 0 };
  const offsets = kernels.i32(parts.offsets!.address, numLists + 1);
  const positions = kernels.place(positionsOf(kernels.i32(parts.ids!.address, size)));
  const panels = parts.panels!.address;
  const short = placeShort(kernels, panels, numPanelsOf(numLists), dim);
  const isFlat = codesKind === CODES_KINDS.flat;
  const derived = {
    ...{ dim, size, numLists, metric: kernelMetric, codesKind, m },
    numPanels: numPanelsOf(numLists),
    rows: vectors.address,
    positions,
    blocks: codesKind === CODES_KINDS.pq4 ? kernels.place(blocksOf(offsets)) : 0,
    zeros: isFlat ? 0 : kernels.place(new Float32Array(256)),
    shortPanels: short.address,
    shortScales: short.scales,
    largestNorm: kernels.place(
      Float32Array.of(kernelMetric === 0 ? kernels.run.ivfLargestNorm(vectors.address, dim, size) : 0),
    ),
    centres: isFlat ? 0 : kernels.place(centresOf(kernels, panels, numLists, dim)),
  };
  const known: Partial<Record<string, number>> = derived;
  const address = kernels.place(
    Uint32Array.from(FIELDS, (name) => known[name] ?? (parts as Partial<Record<string, Part>>)[name]?.address ?? 0),
  );
  return { address, positions };
}

/** Where each row lies. @throws LookalikeError `corruptArtifact` unless each row lies somewhere once */
function positionsOf(ids: Int32Array): Int32Array {
  const positions = new Int32Array(ids.length).fill(-1);
  for (let at = 0; at < ids.length; at++) {
    const row = ids[at]!;
    if (row < 0 || row >= ids.length || positions[row] !== -1) {
      throw corrupt(`each of ${ids.length} rows in one place, got row ${row} at ${at}`);
    }
    positions[row] = at;
  }
  return positions;
}

/** Rows of a 4-bit list are coded in blocks of 32: the number of each list's first block. */
function blocksOf(offsets: Int32Array): Int32Array {
  const blocks = new Int32Array(offsets.length);
  for (let list = 1; list < offsets.length; list++) {
    blocks[list] = blocks[list - 1]! + Math.ceil((offsets[list]! - offsets[list - 1]!) / 32);
  }
  return blocks;
}

/** numLists x sum of squared shares: 1 where all lists are equally long. */
export function imbalanceOf({ vectors, numLists, parts }: Layout): number {
  if (numLists === 0) return 1;
  const offsets = vectors.kernels.i32(parts.offsets!.address, numLists + 1);
  let squares = 0;
  for (let list = 0; list < numLists; list++) squares += (offsets[list + 1]! - offsets[list]!) ** 2;
  return (squares * numLists) / vectors.size ** 2;
}

/** @throws LookalikeError `corruptArtifact` unless the lists follow each other from row 0 to the last */
export function checkOffsets(offsets: Int32Array, size: number): void {
  const isOrdered = offsets.every((offset, list) => list === 0 || offset >= offsets[list - 1]!);
  if (offsets.length < 2 || offsets[0] !== 0 || offsets.at(-1) !== size || !isOrdered) {
    throw corrupt(`lists that follow each other from row 0 to row ${size}, and they do not`);
  }
}

export function corrupt(expected: string): LookalikeError {
  return new LookalikeError('corruptArtifact', `Expected of the inverted file ${expected}. Rebuild the index.`);
}
