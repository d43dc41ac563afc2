import { Lsh } from './lsh-layout';
import { valueOf, vertex } from './lsh-project';
import { queuePop, queuePush } from './priority-queue';

/*
 * Query-directed multi-probe (Lv et al. 2007, section 4.4) over all tables at once. A step gives one function of a table
 * another value, at the cost of the squared distance to that value; a probe is a set of steps, at most one a function. Sets
 * come out by ascending cost: from the cheapest step, `shift` replaces the last step by the next one, `expand` adds the next.
 */

/** Other vertices of a cross-polytope that are steps. */
export const ALTERNATIVES = 8;

/** Step: f32 cost, i32 function within the table, u32 bits of the key that change. */
const STEP_BYTES: usize = 12;
/** Set: f32 cost, i32 table, i32 last step; of the steps before the last: f32 cost, u32 key bits, u32 functions. */
const SET_BYTES: usize = 24;

let numSteps: i32 = 0;
let numSets: i32 = 0;
let waiting: i32 = 0;

export function stepsOfTable(lsh: Lsh): i32 {
  if (lsh.functionDim === 1) return lsh.numFunctions;
  return lsh.numFunctions * min(ALTERNATIVES, lsh.functionDim - 1);
}

export function stepsBytes(lsh: Lsh): usize {
  return <usize>(lsh.numTables * stepsOfTable(lsh)) * STEP_BYTES;
}

/** Lists every table's steps, the cheapest first, and the sets of the cheapest alone. */
export function startProbes(lsh: Lsh, projected: usize, steps: usize, sets: usize, queue: usize): void {
  numSteps = stepsOfTable(lsh);
  numSets = 0;
  waiting = 0;
  for (let t = 0; t < lsh.numTables; t++) {
    const first = steps + <usize>(t * numSteps) * STEP_BYTES;
    let size = 0;
    for (let j = 0; j < lsh.numFunctions; j++) size = addSteps(lsh, projected, t, j, first, size);
    if (numSteps > 0) addSet(sets, queue, load<f32>(first), t, 0, 0, 0, 0);
  }
}

/** The next set; -1 when there is none. It can be one that changes a function twice: `isProbe` tells. */
export function nextSet(steps: usize, sets: usize, queue: usize): i32 {
  if (waiting === 0) return -1;
  const set = queuePop(queue, waiting--);
  const at = sets + <usize>set * SET_BYTES;
  const cost = load<f32>(at);
  const table = load<i32>(at, 4);
  const last = load<i32>(at, 8);
  if (last + 1 >= numSteps) return set;
  const step = steps + <usize>(table * numSteps + last) * STEP_BYTES;
  const nextCost = load<f32>(step + STEP_BYTES);
  const before = load<f32>(at, 12);
  addSet(sets, queue, before + nextCost, table, last + 1, before, load<u32>(at, 16), load<u32>(at, 20));
  if (isProbe(steps, sets, set)) {
    const bits = load<u32>(at, 16) ^ load<u32>(step, 8);
    addSet(sets, queue, cost + nextCost, table, last + 1, cost, bits, load<u32>(at, 20) | functionBit(step));
  }
  return set;
}

export function isProbe(steps: usize, sets: usize, set: i32): bool {
  const at = sets + <usize>set * SET_BYTES;
  const step = steps + <usize>(load<i32>(at, 4) * numSteps + load<i32>(at, 8)) * STEP_BYTES;
  return (load<u32>(at, 20) & functionBit(step)) === 0;
}

export function tableOf(sets: usize, set: i32): i32 {
  return load<i32>(sets + <usize>set * SET_BYTES, 4);
}

/** What a set changes of its table's key. */
export function keyBitsOf(steps: usize, sets: usize, set: i32): u32 {
  const at = sets + <usize>set * SET_BYTES;
  const step = steps + <usize>(load<i32>(at, 4) * numSteps + load<i32>(at, 8)) * STEP_BYTES;
  return load<u32>(at, 16) ^ load<u32>(step, 8);
}

function functionBit(step: usize): u32 {
  return (<u32>1) << load<i32>(step, 4);
}

function addSet(
  sets: usize,
  queue: usize,
  cost: f32,
  table: i32,
  last: i32,
  costBefore: f32,
  bitsBefore: u32,
  functionsBefore: u32,
): void {
  const at = sets + <usize>numSets * SET_BYTES;
  store<f32>(at, cost);
  store<i32>(at, table, 4);
  store<i32>(at, last, 8);
  store<f32>(at, costBefore, 12);
  store<u32>(at, bitsBefore, 16);
  store<u32>(at, functionsBefore, 20);
  waiting = queuePush(queue, waiting, -cost, numSets++);
}

/** Adds the steps of function `j` to a table's sorted list. */
function addSteps(lsh: Lsh, projected: usize, table: i32, j: i32, list: usize, size: i32): i32 {
  const f = table * lsh.numFunctions + j;
  const at = projected + ((<usize>f * lsh.functionDim) << 2);
  if (lsh.functionDim === 1) {
    const distance = load<f32>(at);
    return addStep(list, size, distance * distance, j, (<u32>1) << j);
  }
  const value = valueOf(lsh, projected, f);
  const longest = abs(load<f32>(at + ((<usize>(value >>> 1)) << 2)));
  const room = size + min(ALTERNATIVES, lsh.functionDim - 1);
  const own = size;
  for (let axis = 0; axis < lsh.functionDim; axis++) {
    if (<u32>axis === value >>> 1) continue;
    const d = longest - abs(load<f32>(at + ((<usize>axis) << 2)));
    size = keepStep(list, own, size, room, d * d, j, (vertex(at, axis) ^ value) << (j * lsh.functionBits));
  }
  // Kept sorted by themselves so far; now among the others.
  for (let i = own; i < size; i++) {
    const step = list + <usize>i * STEP_BYTES;
    addStep(list, i, load<f32>(step), load<i32>(step, 4), load<u32>(step, 8));
  }
  return size;
}

/** Inserts into the sorted entries [own, size), of which the cheapest up to `room` are kept. */
function keepStep(list: usize, own: i32, size: i32, room: i32, cost: f32, j: i32, bits: u32): i32 {
  if (size === room && cost >= load<f32>(list + <usize>(size - 1) * STEP_BYTES)) return size;
  const kept = size === room ? size - 1 : size;
  addStep(list + <usize>own * STEP_BYTES, kept - own, cost, j, bits);
  return kept + 1;
}

/** Inserts into a sorted list of `size` with room for one more. */
function addStep(list: usize, size: i32, cost: f32, j: i32, bits: u32): i32 {
  let i = size;
  for (; i > 0; i--) {
    const before = list + <usize>(i - 1) * STEP_BYTES;
    if (load<f32>(before) <= cost) break;
    memory.copy(before + STEP_BYTES, before, STEP_BYTES);
  }
  const at = list + <usize>i * STEP_BYTES;
  store<f32>(at, cost);
  store<i32>(at, j, 4);
  store<u32>(at, bits, 8);
  return size + 1;
}
