/** Groups of near-duplicates: what a chain of close pairs connects (single linkage), by union-find with path halving. */
export class NearDuplicates {
  readonly #parent: Int32Array;

  /** Every one of `size` rows starts alone. */
  constructor(size: number) {
    this.#parent = Int32Array.from({ length: size }, (_, row) => row);
  }

  /** The lowest row of the group that `row` belongs to. */
  groupOf(row: number): number {
    const parent = this.#parent;
    while (parent[row] !== row) {
      parent[row] = parent[parent[row]!]!;
      row = parent[row]!;
    }
    return row;
  }

  /** The lower root stays root, so that a group's name does not depend on the order of the pairs. */
  join(a: number, b: number): void {
    const rootA = this.groupOf(a);
    const rootB = this.groupOf(b);
    this.#parent[Math.max(rootA, rootB)] = Math.min(rootA, rootB);
  }

  /** Groups of two or more, and the rows in them. */
  count(): { numGroups: number; numGrouped: number } {
    const sizes = new Map<number, number>();
    for (let row = 0; row < this.#parent.length; row++) {
      const group = this.groupOf(row);
      if (group !== row) sizes.set(group, (sizes.get(group) ?? 1) + 1);
    }
    return { numGroups: sizes.size, numGrouped: [...sizes.values()].reduce((sum, size) => sum + size, 0) };
  }
}

/** The neighbours of `row` without its own group and with the best of each other group only; at most `k`. */
export function collapse<T extends { row: number }>(
  neighbours: readonly T[],
  row: number,
  groups: NearDuplicates,
  k: number,
): T[] {
  const seen = new Set([groups.groupOf(row)]);
  const kept: T[] = [];
  for (const neighbour of neighbours) {
    if (kept.length === k) break;
    const group = groups.groupOf(neighbour.row);
    if (seen.has(group)) continue;
    seen.add(group);
    kept.push(neighbour);
  }
  return kept;
}
