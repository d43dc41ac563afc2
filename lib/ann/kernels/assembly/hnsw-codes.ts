import { score } from './distance';
import { biases, centres, codeBytes, codes, dim, metric, numRows, open, rows, steps, weights } from './hnsw-graph';
import { dotInt8 } from './int8';

/*
 * How near two rows are, for walks and for the choice of links. With codes (int8 scalar quantisation, a range for each
 * dimension) a quarter of the bytes travels; the other side of the product keeps 16 bits, so that nearly all that is lost is
 * the rounding of the rows. Sums are of integers: equal on every processor.
 *
 * A target is what rows are compared with: f32 factor, f32 constant, 8 bytes free, i16 [codeBytes]; without codes just f32
 * [dim]. Score = factor * (target . code) + constant + bias of the row.
 */
const HEAD_BYTES: usize = 16;
/** The largest code. */
const MOST: f32 = 127;

/** Bytes of a target that is not a row itself; a multiple of 16. */
export function targetBytes(): usize {
  return codes === 0 ? 0 : HEAD_BYTES + ((<usize>codeBytes) << 1);
}

/** The largest value of a target such that no sum overflows. */
function largest(): f32 {
  return min<f32>(32_767, Mathf.floor(<f32>0x7fffff80 / (MOST * <f32>codeBytes)));
}

/** The target of a query, f32 [dim], made at `room` if it must be. */
export function aimAtQuery(query: usize, room: usize): usize {
  if (codes === 0) return query;
  let most: f32 = 0;
  let square: f32 = 0;
  for (let i: usize = 0; i < <usize>dim; i++) {
    const centred = load<f32>(query + (i << 2)) - load<f32>(centres + (i << 2));
    most = max<f32>(most, Mathf.abs(centred * load<f32>(steps + (i << 2))));
    square += centred * centred;
  }
  const unit = most / largest();
  const inverse: f32 = unit > 0 ? 1 / unit : 0;
  memory.fill(room, 0, targetBytes());
  store<f32>(room, metric === 0 ? unit : 2 * unit);
  store<f32>(room + 4, metric === 0 ? 0 : -square);
  for (let i: usize = 0; i < <usize>dim; i++) {
    const centred = load<f32>(query + (i << 2)) - load<f32>(centres + (i << 2));
    const value = Mathf.round(centred * load<f32>(steps + (i << 2)) * inverse);
    store<i16>(room + HEAD_BYTES + (i << 1), <i16>value);
  }
  return room;
}

/** The target of a row, made at `room` if it must be. */
export function aimAtRow(row: i32, room: usize): usize {
  if (codes === 0) return rows + ((<usize>row * <usize>dim) << 2);
  const code = codes + <usize>row * <usize>codeBytes;
  // The unit of the weights stands behind them.
  store<f32>(room, load<f32>(weights + ((<usize>codeBytes) << 2)));
  store<f32>(room + 4, biases === 0 ? 0 : load<f32>(biases + ((<usize>row) << 2)));
  let out = room + HEAD_BYTES;
  let weight = weights;
  for (let i: usize = 0; i < <usize>codeBytes; i += 8) {
    const wide = v128.load_ext<i8>(code + i);
    const low = f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(wide));
    const high = f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(wide));
    const a = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(low, v128.load(weight))));
    const b = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(high, v128.load(weight, 16))));
    v128.store(out, i16x8.narrow_i32x4_s(a, b));
    weight += 32;
    out += 16;
  }
  return room;
}

/** How near a row is to the target; higher is nearer. */
export function near(target: usize, row: i32): f32 {
  if (codes === 0) return score(metric, target, rows + ((<usize>row * <usize>dim) << 2), dim);
  const product = <f32>dotInt8(codes + <usize>row * <usize>codeBytes, target + HEAD_BYTES, codeBytes);
  const found = product * load<f32>(target) + load<f32>(target, 4);
  return biases === 0 ? found : found + load<f32>(biases + ((<usize>row) << 2));
}

/**
 * Brings the beginning of a row near; the answer has no meaning, but has to be used. Two lines, from which on the processor
 * foresees the rest; behind the last row and code lies more of the graph.
 */
export function touch(row: i32): i32 {
  const at = codes === 0 ? rows + ((<usize>row * <usize>dim) << 2) : codes + <usize>row * <usize>codeBytes;
  return load<i32>(at) ^ load<i32>(at, 64);
}

/** Decides the ranges of the codes by all rows: fills `centres`, `steps` and `weights`. */
export function hnswRanges(graph: usize): void {
  open(graph);
  // The lowest and the highest value stand there until both are known.
  memory.copy(centres, rows, (<usize>dim) << 2);
  memory.copy(steps, rows, (<usize>dim) << 2);
  for (let row = 1; row < numRows; row++) {
    const at = rows + ((<usize>row * <usize>dim) << 2);
    for (let i: usize = 0; i < <usize>dim; i++) {
      const value = load<f32>(at + (i << 2));
      if (value < load<f32>(centres + (i << 2))) store<f32>(centres + (i << 2), value);
      if (value > load<f32>(steps + (i << 2))) store<f32>(steps + (i << 2), value);
    }
  }
  let most: f32 = 0;
  for (let i: usize = 0; i < <usize>dim; i++) {
    const low = load<f32>(centres + (i << 2));
    const high = load<f32>(steps + (i << 2));
    // Halved first: the sum of two finite numbers can be infinite.
    const centre: f32 = metric === 0 ? 0 : low * 0.5 + high * 0.5;
    const step = max<f32>(high - centre, centre - low) / MOST;
    store<f32>(centres + (i << 2), centre);
    store<f32>(steps + (i << 2), step);
    most = max<f32>(most, step * step * MOST);
  }
  const unit = most / largest();
  const inverse: f32 = unit > 0 ? 1 / unit : 0;
  for (let i: usize = 0; i < <usize>dim; i++) {
    const step = load<f32>(steps + (i << 2));
    store<f32>(weights + (i << 2), step * step * inverse);
  }
  store<f32>(weights + ((<usize>codeBytes) << 2), metric === 0 ? unit : 2 * unit);
}

/** Encodes the rows [from, to). */
export function hnswEncode(graph: usize, from: i32, to: i32): void {
  open(graph);
  for (let row = from; row < to; row++) {
    const at = rows + ((<usize>row * <usize>dim) << 2);
    const code = codes + <usize>row * <usize>codeBytes;
    let square: f32 = 0;
    for (let i: usize = 0; i < <usize>dim; i++) {
      const step = load<f32>(steps + (i << 2));
      const centred = load<f32>(at + (i << 2)) - load<f32>(centres + (i << 2));
      const value: f32 = step > 0 ? Mathf.round(centred / step) : 0;
      store<i8>(code + i, <i8>value);
      square += step * value * (step * value);
    }
    memory.fill(code + <usize>dim, 0, <usize>(codeBytes - dim));
    if (biases !== 0) store<f32>(biases + ((<usize>row) << 2), -square);
  }
}
