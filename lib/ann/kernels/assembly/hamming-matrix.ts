/**
 * out [m, cols] += a [m, n] . b [n, cols], all f32. `b` and `out` are row-major; element (i, j) of `a` lies i * rowStep +
 * j * columnStep numbers on, so that a transposed matrix needs no copy. Every sum runs over j in ascending order, never
 * fused: the same bytes on every processor.
 */
export function matrixAdd(
  a: usize,
  rowStep: i32,
  columnStep: i32,
  m: i32,
  n: i32,
  b: usize,
  cols: i32,
  out: usize,
): void {
  const rowBytes = (<usize>cols) << 2;
  const aRow = (<usize>rowStep) << 2;
  const aStep = (<usize>columnStep) << 2;
  const vectorBytes = rowBytes & ~31;
  let i = 0;
  for (; i + 4 <= m; i += 4) {
    const a0 = a + <usize>i * aRow;
    const to = out + <usize>i * rowBytes;
    for (let c: usize = 0; c < vectorBytes; c += 32) tile4(a0, aRow, aStep, n, b + c, rowBytes, to + c);
    for (let r = 0; r < 4; r++) {
      remainder(a0 + <usize>r * aRow, aStep, n, b, vectorBytes, rowBytes, to + <usize>r * rowBytes);
    }
  }
  for (; i < m; i++) remainder(a + <usize>i * aRow, aStep, n, b, 0, rowBytes, out + <usize>i * rowBytes);
}

/** Four rows by eight columns, held in registers over the whole sum. */
// @ts-ignore: decorator
@inline
function tile4(a0: usize, aRow: usize, aStep: usize, n: i32, b: usize, rowBytes: usize, to: usize): void {
  const a1 = a0 + aRow;
  const a2 = a1 + aRow;
  const a3 = a2 + aRow;
  const t1 = to + rowBytes;
  const t2 = t1 + rowBytes;
  const t3 = t2 + rowBytes;
  let s00 = v128.load(to);
  let s01 = v128.load(to, 16);
  let s10 = v128.load(t1);
  let s11 = v128.load(t1, 16);
  let s20 = v128.load(t2);
  let s21 = v128.load(t2, 16);
  let s30 = v128.load(t3);
  let s31 = v128.load(t3, 16);
  let at: usize = 0;
  for (let j = 0; j < n; j++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const w0 = v128.load32_splat(a0 + at);
    s00 = f32x4.add(s00, f32x4.mul(w0, b0));
    s01 = f32x4.add(s01, f32x4.mul(w0, b1));
    const w1 = v128.load32_splat(a1 + at);
    s10 = f32x4.add(s10, f32x4.mul(w1, b0));
    s11 = f32x4.add(s11, f32x4.mul(w1, b1));
    const w2 = v128.load32_splat(a2 + at);
    s20 = f32x4.add(s20, f32x4.mul(w2, b0));
    s21 = f32x4.add(s21, f32x4.mul(w2, b1));
    const w3 = v128.load32_splat(a3 + at);
    s30 = f32x4.add(s30, f32x4.mul(w3, b0));
    s31 = f32x4.add(s31, f32x4.mul(w3, b1));
    at += aStep;
    b += rowBytes;
  }
  v128.store(to, s00);
  v128.store(to, s01, 16);
  v128.store(t1, s10);
  v128.store(t1, s11, 16);
  v128.store(t2, s20);
  v128.store(t2, s21, 16);
  v128.store(t3, s30);
  v128.store(t3, s31, 16);
}

/** One row by 32 columns: as many sums at once as hide how long an addition takes. */
// @ts-ignore: decorator
@inline
function tile1(a: usize, aStep: usize, n: i32, b: usize, rowBytes: usize, to: usize): void {
  let s0 = v128.load(to);
  let s1 = v128.load(to, 16);
  let s2 = v128.load(to, 32);
  let s3 = v128.load(to, 48);
  let s4 = v128.load(to, 64);
  let s5 = v128.load(to, 80);
  let s6 = v128.load(to, 96);
  let s7 = v128.load(to, 112);
  for (let j = 0; j < n; j++) {
    const w = v128.load32_splat(a);
    s0 = f32x4.add(s0, f32x4.mul(w, v128.load(b)));
    s1 = f32x4.add(s1, f32x4.mul(w, v128.load(b, 16)));
    s2 = f32x4.add(s2, f32x4.mul(w, v128.load(b, 32)));
    s3 = f32x4.add(s3, f32x4.mul(w, v128.load(b, 48)));
    s4 = f32x4.add(s4, f32x4.mul(w, v128.load(b, 64)));
    s5 = f32x4.add(s5, f32x4.mul(w, v128.load(b, 80)));
    s6 = f32x4.add(s6, f32x4.mul(w, v128.load(b, 96)));
    s7 = f32x4.add(s7, f32x4.mul(w, v128.load(b, 112)));
    a += aStep;
    b += rowBytes;
  }
  v128.store(to, s0);
  v128.store(to, s1, 16);
  v128.store(to, s2, 32);
  v128.store(to, s3, 48);
  v128.store(to, s4, 64);
  v128.store(to, s5, 80);
  v128.store(to, s6, 96);
  v128.store(to, s7, 112);
}

/** The columns from `from` on of one row. */
function remainder(a: usize, aStep: usize, n: i32, b: usize, from: usize, rowBytes: usize, to: usize): void {
  const vectorEnd = from + ((rowBytes - from) & ~15);
  let c = from;
  for (; c + 128 <= vectorEnd; c += 128) tile1(a, aStep, n, b + c, rowBytes, to + c);
  for (; c < vectorEnd; c += 16) {
    let s = v128.load(to + c);
    for (let j = 0; j < n; j++) {
      const w = v128.load32_splat(a + <usize>j * aStep);
      s = f32x4.add(s, f32x4.mul(w, v128.load(b + <usize>j * rowBytes + c)));
    }
    v128.store(to + c, s);
  }
  for (let c = vectorEnd; c < rowBytes; c += 4) {
    let s = load<f32>(to + c);
    for (let j = 0; j < n; j++) s += load<f32>(a + <usize>j * aStep) * load<f32>(b + <usize>j * rowBytes + c);
    store<f32>(to + c, s);
  }
}
