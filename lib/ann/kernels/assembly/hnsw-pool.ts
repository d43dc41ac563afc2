/*
 * The best `room` rows that a walk has met, best first, and how far it has gone from each. One i64 is one row: its score in
 * the upper half such that greater is better, then its number so that equal scores put lower rows first, then a bit that is
 * set once the row's links have been followed. Rows that fall out of the pool are never walked from: the pool is the queue of
 * candidates and the list of results at once.
 */
export let poolSize: i32 = 0;
let pool: usize = 0;
let poolRoom: i32 = 0;
/** Nothing before it is left to walk from. */
let cursor: i32 = 0;

export function startPool(at: usize, room: i32): void {
  pool = at;
  poolRoom = room;
  poolSize = 0;
  cursor = 0;
}

export function keyOf(score: f32, row: i32): i64 {
  const bits = reinterpret<i32>(score);
  return ((<i64>(bits ^ ((bits >> 31) & 0x7fffffff))) << 32) | ((<i64>(0x7fffffff - row)) << 1);
}

export function rowOf(key: i64): i32 {
  return 0x7fffffff - <i32>((key & 0xffffffff) >> 1);
}

export function scoreOf(key: i64): f32 {
  const bits = <i32>(key >> 32);
  return reinterpret<f32>(bits ^ ((bits >> 31) & 0x7fffffff));
}

export function poolKey(i: i32): i64 {
  return load<i64>(pool + ((<usize>i) << 3));
}

export function offerToPool(score: f32, row: i32): void {
  const key = keyOf(score, row);
  let at = pool + ((<usize>poolSize) << 3);
  if (poolSize === poolRoom) {
    if (key < load<i64>(at - 8)) return;
    at -= 8;
  } else {
    poolSize++;
  }
  while (at > pool) {
    const before = load<i64>(at - 8);
    if (before >= key) break;
    store<i64>(at, before);
    at -= 8;
  }
  store<i64>(at, key);
  const position = <i32>((at - pool) >> 3);
  if (position < cursor) cursor = position;
}

/** The best row that was not walked from yet, marked as walked from; -1 when there is none. */
export function nextOfPool(): i32 {
  while (cursor < poolSize) {
    const at = pool + ((<usize>cursor) << 3);
    const key = load<i64>(at);
    cursor++;
    if ((key & 1) === 0) {
      store<i64>(at, key | 1);
      return rowOf(key);
    }
  }
  return -1;
}
