import { dot } from './distance';
import { products, subScores } from './ivf-codes';
import { align64, Ivf } from './ivf-index';
import { sqStride } from './ivf-sq';
import { shortPanelBytes } from './ivf-short';
import { nearestCells, nearestCellsScratch } from './kmeans';

const BLOCK_ROWS: i32 = 64;

/** Bytes at `scratch` that `ivfEncode` needs. */
export function ivfEncodeScratch(index: usize): i32 {
  const ivf = changetype<Ivf>(index);
  const rowBytes = align64((<usize>ivf.dim) << 2);
  const blocks = align64((<usize>(BLOCK_ROWS * ivf.dim)) << 2) * 2 + align64((<usize>BLOCK_ROWS) << 2);
  return <i32>(rowBytes * 2 + blocks + align64((<usize>ivf.m) << 10) + <usize>nearestCellsScratch(dsubOf(ivf)));
}

/** Dimensions of a sub-vector. */
function dsubOf(ivf: Ivf): i32 {
  return ivf.m === 0 ? 0 : ivf.dim / ivf.m;
}

/**
 * Writes the codes of the rows of the lists [from, to). Of pq: `halves`, f32 [m, 2^bits], are -|centre|^2 / 2; `books` and
 * `bookScales` the codebooks in 16 bits (see ivf-short.ts).
 */
export function ivfEncode(
  index: usize,
  from: i32,
  to: i32,
  halves: usize,
  books: usize,
  bookScales: usize,
  scratch: usize,
): void {
  const ivf = changetype<Ivf>(index);
  const rowBytes = align64((<usize>ivf.dim) << 2);
  const blockBytes = align64((<usize>(BLOCK_ROWS * ivf.dim)) << 2);
  const centre = scratch;
  const turned = centre + rowBytes;
  const left = turned + rowBytes;
  const block = left + blockBytes;
  const cells = block + blockBytes;
  const biases = cells + align64((<usize>BLOCK_ROWS) << 2);
  const work = biases + align64((<usize>ivf.m) << 10);
  for (let list = from; list < to; list++) {
    loadCentre(ivf, list, centre);
    if (ivf.codesKind !== 1) biasTables(ivf, centre, turned, halves, biases);
    const end = load<i32>(ivf.offsets + ((<usize>list) << 2), 4);
    for (let at = load<i32>(ivf.offsets + ((<usize>list) << 2)); at < end; at += BLOCK_ROWS) {
      const count = min(BLOCK_ROWS, end - at);
      residuals(ivf, at, count, centre, left);
      if (ivf.codesKind === 1) {
        for (let i = 0; i < count; i++) sqEncode(ivf, at + i, centre, left + ((<usize>(i * ivf.dim)) << 2));
        continue;
      }
      let rows = left;
      if (ivf.rotation !== 0) {
        products(left, 0, count, ivf.rotation, ivf.dim, ivf.dim, block);
        rows = block;
      }
      pqEncode(ivf, list, at, count, rows, halves, books, bookScales, cells, biases, work);
    }
  }
}

/** The centre of a cell from its panel. */
function loadCentre(ivf: Ivf, list: i32, out: usize): void {
  const panel = ivf.panels + <usize>(list >> 3) * <usize>ivf.dim * 32 + ((<usize>(list & 7)) << 2);
  for (let d: usize = 0; d < <usize>ivf.dim; d++) store<f32>(out + (d << 2), load<f32>(panel + (d << 5)));
}

function residuals(ivf: Ivf, at: i32, count: i32, centre: usize, out: usize): void {
  for (let i = 0; i < count; i++) {
    const row = ivf.rows + ((<usize>(at + i) * <usize>ivf.dim) << 2);
    const to = out + ((<usize>(i * ivf.dim)) << 2);
    for (let d: usize = 0; d < (<usize>ivf.dim) << 2; d += 4) {
      let value = load<f32>(row + d);
      if (ivf.mean !== 0) value -= load<f32>(ivf.mean + d);
      store<f32>(to + d, value - load<f32>(centre + d));
    }
  }
}

/** f32 [m, 2^bits] of -c.p - |p|^2 / 2: half of what a code adds to its row's bias. */
function biasTables(ivf: Ivf, centre: usize, turned: usize, halves: usize, out: usize): void {
  if (ivf.rowBias === 0) return;
  if (ivf.rotation !== 0) products(centre, 0, 1, ivf.rotation, ivf.dim, ivf.dim, turned);
  else memory.copy(turned, centre, (<usize>ivf.dim) << 2);
  for (let d: usize = 0; d < (<usize>ivf.dim) << 2; d += 4) store<f32>(turned + d, -load<f32>(turned + d));
  const numCentres = ivf.codesKind === 2 ? 256 : 16;
  subScores(ivf, turned, halves, (<usize>numCentres) << 2, numCentres, out);
}

function pqEncode(
  ivf: Ivf,
  list: i32,
  at: i32,
  count: i32,
  rows: usize,
  halves: usize,
  books: usize,
  bookScales: usize,
  cells: usize,
  biases: usize,
  work: usize,
): void {
  const dsub = dsubOf(ivf);
  const numCentres = ivf.codesKind === 2 ? 256 : 16;
  const numPanels = numCentres >> 3;
  const biasAt = ivf.rowBias + ((<usize>at) << 2);
  if (ivf.rowBias !== 0) memory.fill(biasAt, 0, (<usize>count) << 2);
  for (let j = 0; j < ivf.m; j++) {
    const sub = rows + ((<usize>(j * dsub)) << 2);
    const panels = books + <usize>(j * numPanels) * shortPanelBytes(dsub);
    const side = (<usize>(j * numCentres)) << 2;
    nearestCells(
      sub,
      ivf.dim << 2,
      0,
      count,
      dsub,
      0,
      panels,
      bookScales + side,
      halves + side,
      numPanels,
      cells,
      0,
      work,
    );
    for (let i = 0; i < count; i++) {
      const code = load<i32>(cells + ((<usize>i) << 2));
      if (ivf.codesKind === 2) store<u8>(ivf.codes + <usize>(at + i) * <usize>ivf.m + <usize>j, <u8>code);
      else storeHalf(ivf, list, at + i, j, code);
      if (ivf.rowBias === 0) continue;
      const bias = biasAt + ((<usize>i) << 2);
      store<f32>(bias, load<f32>(bias) + 2 * load<f32>(biases + ((<usize>(j * numCentres + code)) << 2)));
    }
  }
}

/** Into zeroed blocks of 32 rows; see pq4Scan. */
function storeHalf(ivf: Ivf, list: i32, at: i32, j: i32, code: i32): void {
  const row = at - load<i32>(ivf.offsets + ((<usize>list) << 2));
  const block = load<i32>(ivf.blocks + ((<usize>list) << 2)) + (row >> 5);
  const to = ivf.codes + (((<usize>block * <usize>ivf.m + <usize>j) << 4) + <usize>(row & 15));
  store<u8>(to, load<u8>(to) | (<u8>((row & 16) === 0 ? code : code << 4)));
}

function sqEncode(ivf: Ivf, at: i32, centre: usize, row: usize): void {
  const stride = sqStride(ivf.dim);
  const to = ivf.codes + <usize>at * <usize>stride;
  let sum = 0;
  for (let d: usize = 0; d < <usize>stride; d++) {
    if (d >= <usize>ivf.dim) {
      store<i8>(to + d, 0);
      continue;
    }
    const step = load<f32>(ivf.steps + (d << 2));
    const middle = load<f32>(ivf.middles + (d << 2));
    const value = load<f32>(row + (d << 2));
    const code = step > 0 ? <i32>max<f32>(-128, min<f32>(127, nearest<f32>((value - middle) / step))) : 0;
    sum += code;
    store<i8>(to + d, <i8>code);
    store<f32>(row + (d << 2), middle + step * <f32>code);
  }
  store<f32>(ivf.rowSums + ((<usize>at) << 2), <f32>sum);
  if (ivf.rowBias === 0) return;
  store<f32>(ivf.rowBias + ((<usize>at) << 2), -2 * dot(centre, row, ivf.dim) - dot(row, row, ivf.dim));
}
