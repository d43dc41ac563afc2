import { speedAt } from './curve.ts';
import type { How } from './contender.ts';
import type { BenchRow } from './measure.ts';

/** One index of ours against one peer, both as fast as they are at a recall. */
export interface AtRecall {
  name: string;
  recall: number;
  /** Queries/s, interpolated on the curve of its efforts. */
  single: number;
  batch: number;
  memoryBytes: number;
  buildSeconds: number;
  /** `null` without peers. */
  peer: string | null;
  /** Ours over the peer's; `null` where the peer does not reach the recall. */
  ratios: { single: number | null; batch: number | null; build: number; memory: number } | null;
}

export const ASKED_RECALLS = [0.9, 0.95, 0.99] as const;

/** Indices that do not reach a recall are left out of it. Peers of learned codes do other work and have no place here. */
export function atRecallOf(rows: readonly BenchRow[]): AtRecall[] {
  const ours = Map.groupBy(
    rows.filter((row) => row.by === 'lookalike'),
    (row) => row.name,
  );
  return [...ours].flatMap(([name, own]) => {
    const beside = rows.filter((row) => row.by === 'peer' && row.beside === name && row.kind !== 'deepHash');
    const peers = [...Map.groupBy(beside, (row) => row.name)];
    return ASKED_RECALLS.flatMap((recall): AtRecall[] => {
      const [single, batch] = [speed(own, 'single', recall), speed(own, 'batch', recall)];
      if (single === null || batch === null) return [];
      const { memoryBytes, buildSeconds } = own[0]!;
      const line = { name, recall, single, batch, memoryBytes, buildSeconds };
      if (peers.length === 0) return [{ ...line, peer: null, ratios: null }];
      return peers.map(([peer, theirs]) => {
        const ratio = (how: How, mine: number): number | null => {
          const their = speed(theirs, how, recall);
          return their === null ? null : mine / their;
        };
        const first = theirs[0]!;
        const ratios = {
          single: ratio('single', single),
          batch: ratio('batch', batch),
          build: first.buildSeconds / buildSeconds,
          memory: first.memoryBytes / memoryBytes,
        };
        return { ...line, peer, ratios };
      });
    });
  });
}

function speed(rows: readonly BenchRow[], how: How, recall: number): number | null {
  return speedAt(
    rows.map((row) => ({ recall: row.recall, queriesPerSecond: row[how] })),
    recall,
  );
}
