import type { BenchRow } from './measure.ts';

/** Recall of codes by their length. */
export interface BitsPoint {
  bits: number;
  code: string;
  rescored: string;
  recall: number;
}

/** Learned codes, random hyperplanes and faiss's LSH at equal bits, taken from the rows of the table. */
export function bitsOf(rows: readonly BenchRow[]): BitsPoint[] {
  return rows.flatMap((row) => {
    if (row.kind !== 'deepHash') return [];
    const bits = Number(/(?:bits=|LSH)(\d+)/.exec(row.build)?.[1]);
    const code = row.by === 'peer' ? row.name : (/code=(\w+)/.exec(row.build)?.[1] ?? row.name);
    if (!Number.isFinite(bits) || code === 'faiss BinaryFlat') return [];
    const rescored = row.effort === '' || row.effort === 'rescore=0' ? 'no' : row.effort.replace('rescore=', '');
    return [{ bits, code, rescored, recall: row.recall }];
  });
}
