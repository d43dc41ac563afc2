/** The highest layer that a row may have: with m 2 and 2^31 rows the next would be met once in two builds. */
const MAX_LEVEL = 31;

/**
 * The layer each row reaches, u8 [size]: floor(-ln(uniform) / ln(m)) (arXiv 1603.09320, section 4.1). A function of its
 * arguments, so that the layout is known before the first row is inserted.
 */
export function drawLevels(size: number, m: number, seed: number): Uint8Array {
  const random = randomWords(seed);
  const scale = 1 / Math.log(m);
  return Uint8Array.from({ length: size }, () =>
    Math.min(MAX_LEVEL, Math.floor(-Math.log((random() + 1) / 2 ** 32) * scale)),
  );
}

/**
 * Rows in the order of insertion: highest level first, so that the way in never changes, and shuffled within a level, so that
 * rows that lie side by side, as those of a category often do, are not strangers in one batch.
 */
export function insertionOrder(levels: Uint8Array, seed: number): Int32Array {
  const random = randomWords(seed ^ 0x5bd1e995);
  const order = Int32Array.from({ length: levels.length }, (_, row) => row);
  for (let i = order.length - 1; i > 0; i--) {
    const j = random() % (i + 1);
    const row = order[i]!;
    order[i] = order[j]!;
    order[j] = row;
  }
  const entry = entryOf(levels);
  const sorted = new Int32Array(order.length);
  let at = 0;
  if (order.length > 0) sorted[at++] = entry;
  // By counting: to sort a million rows by comparisons would hold the thread for the better part of a second.
  for (let level = levels[entry] ?? -1; level >= 0; level--) {
    for (const row of order) if (levels[row] === level && row !== entry) sorted[at++] = row;
  }
  return sorted;
}

/** The first row of the highest level: where every walk begins. */
export function entryOf(levels: Uint8Array): number {
  let entry = 0;
  for (let row = 1; row < levels.length; row++) if (levels[row]! > levels[entry]!) entry = row;
  return entry;
}

/** The highest level that a file may name. */
export function areLevels(levels: Uint8Array): boolean {
  return levels.every((level) => level <= MAX_LEVEL);
}

/** Uniform integers of 32 bits (SplitMix32). */
function randomWords(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let word = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
    return (word ^ (word >>> 15)) >>> 0;
  };
}
