/*
 * A hierarchical navigable small world graph in memory (Malkov and Yashunin, arXiv 1603.09320). Links are i32 rows, -1 where
 * there is none; what there is comes first. Row r has 2m links on the ground layer, at `ground`, and m on each layer above it
 * up to its level, at `upper`, from block `upperAt[r]` on.
 *
 * A graph is handed over as the address of its head, i32 each, in the order of `open`. Every kernel opens it first: the
 * fields then stand in globals, of which each thread's instance has its own.
 */
export let numRows: i32 = 0;
export let dim: i32 = 0;
/** 0 inner product, 1 squared L2. */
export let metric: i32 = 0;
/** f32 [numRows, dim]. */
export let rows: usize = 0;
/** i8 [numRows, codeBytes]; 0: rows are compared as they are. */
export let codes: usize = 0;
/** `dim` rounded up to 32; codes and what belongs to dimensions end in zeros. */
export let codeBytes: i32 = 0;
/** f32 [codeBytes]: row = centre + step * code. Under inner product there is no centre (0). */
export let centres: usize = 0;
export let steps: usize = 0;
/** f32 [codeBytes]: what a code is multiplied by to stand on the other side of a product, and f32: the unit of that. */
export let weights: usize = 0;
/** f32 [numRows], L2 alone: minus the squared length of step * code. */
export let biases: usize = 0;
export let ground: usize = 0;
export let upper: usize = 0;
/** i32 [numRows]; -1 for rows of the ground layer alone. */
export let upperAt: usize = 0;
/** u8 [numRows]. */
export let levels: usize = 0;
export let m: i32 = 0;
/** A row of the highest level: where every walk begins. */
export let entry: i32 = 0;

export function open(graph: usize): void {
  numRows = load<i32>(graph, 0);
  dim = load<i32>(graph, 4);
  metric = load<i32>(graph, 8);
  rows = load<u32>(graph, 12);
  codes = load<u32>(graph, 16);
  codeBytes = load<i32>(graph, 20);
  centres = load<u32>(graph, 24);
  steps = load<u32>(graph, 28);
  weights = load<u32>(graph, 32);
  biases = load<u32>(graph, 36);
  ground = load<u32>(graph, 40);
  upper = load<u32>(graph, 44);
  upperAt = load<u32>(graph, 48);
  levels = load<u32>(graph, 52);
  m = load<i32>(graph, 56);
  entry = load<i32>(graph, 60);
}

export function degreeAt(level: i32): i32 {
  return level === 0 ? m << 1 : m;
}

/** Where the links of a row on a layer stand, i32 [degreeAt(level)]. */
export function linksOf(row: i32, level: i32): usize {
  if (level === 0) return ground + ((<usize>row * <usize>m) << 3);
  return upper + ((<usize>(load<i32>(upperAt + ((<usize>row) << 2)) + level - 1) * <usize>m) << 2);
}

export function levelOf(row: i32): i32 {
  return <i32>load<u8>(levels + <usize>row);
}

/** Whether all links lead to rows that have the layer: what comes from a file is not believed. */
export function hnswCheckLinks(graph: usize, from: i32, to: i32): i32 {
  open(graph);
  for (let row = from; row < to; row++) {
    for (let level = levelOf(row); level >= 0; level--) {
      const links = linksOf(row, level);
      for (let i = 0, degree = degreeAt(level); i < degree; i++) {
        const other = load<i32>(links + ((<usize>i) << 2));
        if (other < -1 || other >= numRows) return 0;
        if (other >= 0 && levelOf(other) < level) return 0;
      }
    }
  }
  return 1;
}
