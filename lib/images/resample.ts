import type { Preprocessing } from '../../contracts/model.ts';
import type { Pixels } from './decode.ts';
import { KERNELS_BASE64 } from './kernels/wasm-module.ts';
import type { KernelName } from './kernels/wasm-module.ts';
import type { AxisPlan, ResamplePlan } from './resample-plan.ts';

/** The two passes of kernels/assembly, called with addresses and numbers, and the memory they work on. */
interface Kernels {
  memory: WebAssembly.Memory;
  run: Record<KernelName, (...args: number[]) => void>;
}

const PAGE_BYTES = 65_536;
const MAX_PAGES = 65_536;
/** Values that are worked on at once: strides are multiples, and as many may be read past the last. */
const LANES = 8;

let kernels: Kernels | undefined;

/**
 * Fills `tensor`, CHW f32 [3, size, size], with the planned view of a picture, normalised. `source` is the part of the picture
 * in use: columns and rows [first, first + length) of the plan. Bicubic, in whole numbers up to the normalisation, so the
 * result depends on nothing but its input.
 */
export function resample(
  source: Omit<Pixels, 'data'> & { data: Uint8Array },
  { size, columns, rows }: ResamplePlan,
  { mean, std }: Pick<Preprocessing, 'mean' | 'std'>,
  tensor: Float32Array,
): void {
  kernels ??= load();
  const fromStride = columns.length * 3;
  const stride = Math.ceil(((columns.length + columns.taps) * 3 + LANES) / LANES) * LANES;
  const layout = new Layout();
  // The last row is read as far as the others, and rows of weight zero behind it.
  const from = layout.place(fromStride * (rows.length + rows.taps) + stride);
  const between = layout.place(stride * size * 2);
  const to = layout.place(tensor.byteLength);
  const norm = layout.place(32);
  const ofRows = layout.placeTables(rows);
  const ofColumns = layout.placeTables(columns);
  layout.fitInto(kernels.memory);

  const { memory, run } = kernels;
  const { buffer } = memory;
  new Uint8Array(buffer, from, source.data.length).set(source.data);
  new Float32Array(buffer, norm, 8).set([...mean, 0, ...std, 1]);
  writeTables(buffer, ofRows, rows);
  writeTables(buffer, ofColumns, columns);
  run.resampleRows(from, fromStride, ofRows.starts, ofRows.weights, rows.taps, size, between, stride);
  run.resampleColumns(between, stride, ofColumns.starts, ofColumns.weights, columns.taps, size, norm, to);
  tensor.set(new Float32Array(buffer, to, tensor.length));
}

/** Addresses of an axis' plan. */
interface Tables {
  starts: number;
  weights: number;
}

function writeTables(buffer: SharedArrayBuffer, tables: Tables, { starts, weights }: AxisPlan): void {
  new Int32Array(buffer, tables.starts, starts.length).set(starts);
  new Int16Array(buffer, tables.weights, weights.length).set(weights);
}

/** Places what one call needs, one after the other, at multiples of 64. */
class Layout {
  private top = 0;

  place(bytes: number): number {
    const address = this.top;
    this.top += Math.ceil(bytes / 64) * 64;
    return address;
  }

  placeTables({ starts, weights }: AxisPlan): Tables {
    return { starts: this.place(starts.byteLength), weights: this.place(weights.byteLength) };
  }

  fitInto(memory: WebAssembly.Memory): void {
    const missing = Math.ceil(this.top / PAGE_BYTES) - memory.buffer.byteLength / PAGE_BYTES;
    if (missing > 0) memory.grow(missing);
  }
}

function load(): Kernels {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES, shared: true });
  // Not by Buffer: browsers run this file too.
  const bytes = Uint8Array.from(atob(KERNELS_BASE64), (character) => character.charCodeAt(0));
  const module = new WebAssembly.Module(bytes);
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  return { memory, run: exports as Kernels['run'] };
}
