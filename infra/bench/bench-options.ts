import type { Metric } from '../../contracts/ann.ts';
import type { Timing } from './measure.ts';
import type { SweptKind } from './sweeps.ts';

/** Where the vectors come from. */
export type VectorSource =
  | { kind: 'synthetic'; size: number; dim: number; noiseRank: number }
  | { kind: 'file'; path: string; queries?: string; column?: string; size?: number }
  | { kind: 'catalogue'; catalogue: string; size?: number };

export interface BenchOptions {
  source: VectorSource;
  metric: Metric;
  k: number;
  kinds: readonly SweptKind[];
  threads: number;
  seed: number;
  quick: boolean;
  /** Rounds of each measurement, and the seconds of one; default: five of a quarter of a second, of a quick run three of 80 ms. */
  rounds?: number;
  roundSeconds?: number;
  /** A Python with the peers; `null`: none. */
  python: string | null;
}

/** Rounds of each measurement. The best of them counts: what disturbs a round only slows it. */
export function timingOf({ quick, rounds, roundSeconds }: BenchOptions): Timing {
  const usual = quick ? { rounds: 3, seconds: 0.08 } : { rounds: 5, seconds: 0.25 };
  return { rounds: rounds ?? usual.rounds, seconds: roundSeconds ?? usual.seconds, ways: ['single', 'batch'] };
}

export const numQueriesOf = (quick: boolean): number => (quick ? 200 : 1_000);
