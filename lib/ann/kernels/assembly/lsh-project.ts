import { Lsh } from './lsh-layout';

/**
 * Writes f32 [numRotations, width]: the vector, centred and lifted onto the sphere, under pseudo-random rotations H D3 H D2 H D1
 * (Andoni et al. 2015, section 6: D flips signs, H is the Hadamard transform). Their length is width^1.5 times the vector's.
 */
export function project(lsh: Lsh, vector: usize, isQuery: bool, out: usize): void {
  const bytes = (<usize>lsh.width) << 2;
  lift(lsh, vector, isQuery, out);
  for (let r = lsh.numRotations - 1; r >= 0; r--) {
    const to = out + <usize>r * bytes;
    if (r > 0) memory.copy(to, out, bytes);
    for (let i = 0; i < 3; i++) {
      flipSigns(to, lsh.signs + <usize>(r * 3 + i) * bytes, bytes);
      hadamard(to, bytes);
    }
  }
}

/** (x - centre, sqrt(radius^2 - |x - centre|^2), 0, ...): all rows are equally long then. A flat query is (q, 0, ...). */
function lift(lsh: Lsh, vector: usize, isQuery: bool, out: usize): void {
  const end = (<usize>lsh.dim) << 2;
  memory.fill(out, 0, (<usize>lsh.width) << 2);
  if (isQuery && lsh.isQueryFlat !== 0) {
    memory.copy(out, vector, end);
    return;
  }
  let squares: f32 = 0;
  for (let i: usize = 0; i < end; i += 4) {
    const d = load<f32>(vector + i) - load<f32>(lsh.centre + i);
    squares += d * d;
    store<f32>(out + i, d);
  }
  store<f32>(out + end, sqrt<f32>(max<f32>(0, lsh.radiusSquared - squares)));
}

function flipSigns(at: usize, signs: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) v128.store(at + i, v128.xor(v128.load(at + i), v128.load(signs + i)));
}

/** In place, not scaled. */
function hadamard(at: usize, bytes: usize): void {
  const one = f32x4(1, -1, 1, -1);
  const two = f32x4(1, 1, -1, -1);
  for (let i: usize = 0; i < bytes; i += 16) {
    const v = v128.load(at + i);
    const w = f32x4.add(v128.shuffle<f32>(v, v, 1, 0, 3, 2), f32x4.mul(v, one));
    v128.store(at + i, f32x4.add(v128.shuffle<f32>(w, w, 2, 3, 0, 1), f32x4.mul(w, two)));
  }
  for (let half: usize = 16; half < bytes; half <<= 1) {
    for (let start: usize = 0; start < bytes; start += 2 * half) {
      for (let i = at + start; i < at + start + half; i += 16) {
        const a = v128.load(i);
        const b = v128.load(i + half);
        v128.store(i, f32x4.add(a, b));
        v128.store(i + half, f32x4.sub(a, b));
      }
    }
  }
}

/** The value of function `f` (of all tables) for a projected vector: a sign, or the nearest vertex 2 axis + sign. */
export function valueOf(lsh: Lsh, projected: usize, f: i32): u32 {
  const at = projected + ((<usize>f * lsh.functionDim) << 2);
  if (lsh.functionDim === 1) return load<f32>(at) < 0 ? 1 : 0;
  let longest: f32 = -1;
  let axis = 0;
  for (let i = 0; i < lsh.functionDim; i++) {
    const length = abs(load<f32>(at + ((<usize>i) << 2)));
    if (length > longest) {
      longest = length;
      axis = i;
    }
  }
  return vertex(at, axis);
}

export function vertex(at: usize, axis: i32): u32 {
  return ((<u32>axis) << 1) | (load<f32>(at + ((<usize>axis) << 2)) < 0 ? 1 : 0);
}

/** The key of a projected vector in a table: the values of its functions, side by side. */
export function keyOf(lsh: Lsh, projected: usize, table: i32): u32 {
  let key: u32 = 0;
  for (let j = 0; j < lsh.numFunctions; j++) {
    key |= valueOf(lsh, projected, table * lsh.numFunctions + j) << (j * lsh.functionBits);
  }
  return key;
}
