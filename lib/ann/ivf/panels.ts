import type { Kernels } from '../kernels/kernels.ts';

/** Cells of one panel: see kernels/assembly/kmeans.ts. */
const WIDTH = 8;

/** Cells as the kernels compare rows with them. */
export interface Panels {
  /** f32. */
  address: number;
  bias: number;
  /** The same in 16 bits, by which the nearest cell is told: see kernels/assembly/ivf-short.ts. */
  short: Short;
  numPanels: number;
  dim: number;
}

export interface Short {
  address: number;
  scales: number;
}

export const numPanelsOf = (numCells: number): number => Math.ceil(numCells / WIDTH);

export function allocatePanels(kernels: Kernels, numCells: number, dim: number): Panels {
  const numPanels = numPanelsOf(numCells);
  const address = kernels.allocate(numPanels * WIDTH * dim * 4);
  const bias = kernels.allocate(numPanels * WIDTH * 4);
  return { address, bias, short: allocateShort(kernels, numPanels, dim), numPanels, dim };
}

function allocateShort(kernels: Kernels, numPanels: number, dim: number): Short {
  const address = kernels.allocate(numPanels * kernels.run.shortPanelBytes(dim));
  return { address, scales: kernels.allocate(numPanels * WIDTH * 4) };
}

/** Rounds panels that lie at `address` to 16 bits. */
export function placeShort(kernels: Kernels, address: number, numPanels: number, dim: number): Short {
  const short = allocateShort(kernels, numPanels, dim);
  kernels.run.shortPanels(address, numPanels, dim, short.address, short.scales);
  return short;
}

/** Lays the cells' centres (f32 [numCells, dim]) into panels, each with what `biasOf` adds to its scores. */
export function fillPanels(
  kernels: Kernels,
  { address, bias, short, numPanels, dim }: Panels,
  centres: Float32Array,
  biasOf: (cell: number) => number,
): void {
  const panels = kernels.f32(address, numPanels * WIDTH * dim);
  const biases = kernels.f32(bias, numPanels * WIDTH);
  const numCells = centres.length / dim;
  panels.fill(0);
  // A cell that only fills the last panel never wins.
  biases.fill(-Infinity);
  for (let cell = 0; cell < numCells; cell++) {
    const at = Math.floor(cell / WIDTH) * WIDTH * dim + (cell % WIDTH);
    for (let d = 0; d < dim; d++) panels[at + d * WIDTH] = centres[cell * dim + d]!;
    biases[cell] = biasOf(cell);
  }
  kernels.run.shortPanels(address, numPanels, dim, short.address, short.scales);
}

/** The centres of panels again, row by row. */
export function centresOf(kernels: Kernels, address: number, numCells: number, dim: number): Float32Array {
  const panels = kernels.f32(address, numPanelsOf(numCells) * WIDTH * dim);
  const centres = new Float32Array(numCells * dim);
  for (let cell = 0; cell < numCells; cell++) {
    const at = Math.floor(cell / WIDTH) * WIDTH * dim + (cell % WIDTH);
    for (let d = 0; d < dim; d++) centres[cell * dim + d] = panels[at + d * WIDTH]!;
  }
  return centres;
}

/** Half the negative squared length: added to row . cell, it orders cells by their L2 distance from the row. */
export function halfNegativeSquare(centres: Float32Array, dim: number, cell: number): number {
  let sum = 0;
  for (let d = cell * dim; d < (cell + 1) * dim; d++) sum += centres[d]! * centres[d]!;
  return -sum / 2;
}
