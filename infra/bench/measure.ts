import type { Contender, Effort, How } from './contender.ts';
import { effortText } from './contender.ts';
import { speedAt } from './curve.ts';
import { recallOf } from './ground-truth.ts';
import type { GroundTruth } from './ground-truth.ts';
import type { Dataset } from './dataset.ts';
import type { SweptKind } from './sweeps.ts';

/** Our speed over a peer's; `null` where the peer does not reach the recall. */
export interface Ratio {
  peer: string;
  single: number | null;
  batch: number | null;
  /** The peer's build time over ours: above 1, ours is built sooner. */
  build: number;
  /** The peer's bytes over ours. */
  memory: number;
}

/** One index at one effort, measured. */
export interface BenchRow {
  by: 'lookalike' | 'peer';
  kind: SweptKind;
  name: string;
  build: string;
  effort: string;
  /** Of the true k nearest, 0..1. */
  recall: number;
  /** Queries/s, one thread and one query a call. */
  single: number;
  /** Queries/s, all threads and many queries a call. */
  batch: number;
  memoryBytes: number;
  buildSeconds: number;
  visitedShare?: number;
  /** Ours alone; empty for a row that another effort of the same index beats. */
  ratios?: Ratio[];
  /** A peer's row: the curve of ours that it was measured beside. */
  beside?: string;
}

export interface Timing {
  rounds: number;
  /** Of each round. */
  seconds: number;
  /** Ways of asking that are timed; others stay 0. */
  ways: readonly How[];
}

/** A batch is no longer than about this many rounds of single queries, and no shorter than {@link MIN_BATCH}. */
const BATCH_ROUNDS = 8;
const MIN_BATCH = 128;

export interface MeasureInput {
  kind: SweptKind;
  ours: Contender;
  peers: readonly Contender[];
  data: Dataset;
  truth: GroundTruth;
  timing: Timing;
  /** Ratios at the peer's same work instead of at equal recall; efforts that rescore, which peers do not, have none. */
  sameWork: boolean;
  signal: AbortSignal;
  onProgress: (done: number, total: number) => void;
}

interface Measured {
  contender: Contender;
  effort: Effort;
  row: BenchRow;
}

/**
 * Recall of each effort first, which also warms caches and compilers up; then rounds in which ours and the peers' take turns,
 * effort by effort, so that a busy machine disturbs all alike. The best round counts.
 */
export async function measure(input: MeasureInput): Promise<BenchRow[]> {
  const { kind, ours, peers, data, truth, timing, signal, onProgress } = input;
  const all: Measured[] = [];
  for (const contender of [ours, ...peers]) {
    for (const effort of contender.efforts) {
      signal.throwIfAborted();
      const { rows, visitedShare } = await contender.answer(effort);
      const { name, build, memoryBytes, buildSeconds } = contender;
      const row: BenchRow = {
        by: contender === ours ? 'lookalike' : 'peer',
        kind,
        name,
        build,
        effort: effortText(effort),
        recall: recallOf(rows, truth, data),
        single: 0,
        batch: 0,
        memoryBytes,
        buildSeconds,
        ...(visitedShare !== undefined && { visitedShare }),
        ...(contender !== ours && { beside: ours.name }),
      };
      all.push({ contender, effort, row });
    }
  }
  await takeTurns(turns(all), timing, signal, onProgress);
  const rows = all.map(({ row }) => row);
  for (const { row, effort } of all) {
    if (row.by === 'peer') continue;
    const isComparable = input.sameWork ? (effort.rescore ?? 0) === 0 : !rows.some((other) => beats(other, row));
    row.ratios = isComparable ? ratiosOf(row, rows, input) : [];
  }
  return rows;
}

/** Nobody chooses a row of ours when another finds as much sooner: its ratio would say nothing. */
function beats(other: BenchRow, row: BenchRow): boolean {
  return other.by === 'lookalike' && other.recall >= row.recall && other.single > row.single && other.batch > row.batch;
}

/** First efforts of all contenders, then the second ones: what stands side by side is timed side by side. */
function turns(all: readonly Measured[]): Measured[] {
  const place = ({ contender, effort }: Measured): number => contender.efforts.indexOf(effort);
  return [...all].sort((a, b) => place(a) - place(b));
}

async function takeTurns(
  all: readonly Measured[],
  { rounds, seconds, ways }: Timing,
  signal: AbortSignal,
  onProgress: (done: number, total: number) => void,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const [i, { contender, effort, row }] of all.entries()) {
      signal.throwIfAborted();
      for (const way of ways) {
        const batch = Math.max(MIN_BATCH, Math.ceil(row.single * seconds * BATCH_ROUNDS));
        row[way] = Math.max(row[way], await contender.time(effort, way, seconds, batch));
      }
      onProgress(round * all.length + i + 1, rounds * all.length);
    }
  }
}

function ratiosOf(row: BenchRow, all: readonly BenchRow[], { peers, sameWork }: MeasureInput): Ratio[] {
  return [...new Set(peers.map(({ name }) => name))].map((peer) => {
    const theirs = all.filter((one) => one.by === 'peer' && one.name === peer);
    const ratio = (how: How): number | null => {
      const points = theirs.map((one) => ({ recall: sameWork ? 1 : one.recall, queriesPerSecond: one[how] }));
      const theirSpeed = speedAt(points, sameWork ? 1 : row.recall);
      return theirSpeed === null ? null : row[how] / theirSpeed;
    };
    const first = theirs[0]!;
    return {
      peer,
      single: ratio('single'),
      batch: ratio('batch'),
      build: first.buildSeconds / row.buildSeconds,
      memory: first.memoryBytes / row.memoryBytes,
    };
  });
}
