/*
 * A queue of (f32 priority, i32 item) pairs of 8 bytes, the highest priority first: a binary heap. Equal priorities come
 * lowest item first, so that a search visits the same nodes whatever came before.
 */

function before(priorityA: f32, itemA: i32, priorityB: f32, itemB: i32): bool {
  return priorityA > priorityB || (priorityA === priorityB && itemA < itemB);
}

function put(queue: usize, i: i32, priority: f32, item: i32): void {
  store<f32>(queue + ((<usize>i) << 3), priority);
  store<i32>(queue + ((<usize>i) << 3), item, 4);
}

/** The highest priority of a queue that is not empty. */
export function queuePriority(queue: usize): f32 {
  return load<f32>(queue);
}

/** Returns the new size. */
export function queuePush(queue: usize, size: i32, priority: f32, item: i32): i32 {
  let i = size;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    const at = queue + ((<usize>parent) << 3);
    if (!before(priority, item, load<f32>(at), load<i32>(at, 4))) break;
    put(queue, i, load<f32>(at), load<i32>(at, 4));
    i = parent;
  }
  put(queue, i, priority, item);
  return size + 1;
}

/** Takes the first item out of a queue of `size` > 0. */
export function queuePop(queue: usize, size: i32): i32 {
  const first = load<i32>(queue, 4);
  size--;
  const last = queue + ((<usize>size) << 3);
  const priority = load<f32>(last);
  const item = load<i32>(last, 4);
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= size) break;
    let at = queue + ((<usize>child) << 3);
    if (child + 1 < size && before(load<f32>(at, 8), load<i32>(at, 12), load<f32>(at), load<i32>(at, 4))) {
      child++;
      at += 8;
    }
    if (before(priority, item, load<f32>(at), load<i32>(at, 4))) break;
    put(queue, i, load<f32>(at), load<i32>(at, 4));
    i = child;
  }
  if (size > 0) put(queue, i, priority, item);
  return first;
}
