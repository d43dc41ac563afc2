import type { AnnMachine } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { withMachine } from './bench-machine.ts';
import { timingOf } from './bench-options.ts';
import type { BenchOptions } from './bench-options.ts';
import type { Contender } from './contender.ts';
import type { Dataset } from './dataset.ts';
import { dimensionSweep } from './dimension-sweep.ts';
import type { DimensionPoint } from './dimension-sweep.ts';
import { groundTruth } from './ground-truth.ts';
import type { GroundTruth } from './ground-truth.ts';
import { hardware } from './hardware.ts';
import type { Hardware } from './hardware.ts';
import { loadDataset } from './load-dataset.ts';
import type { UseStores } from './load-dataset.ts';
import { measure } from './measure.ts';
import type { BenchRow } from './measure.ts';
import { atRecallOf } from './at-recall.ts';
import type { AtRecall } from './at-recall.ts';
import { buildOurs } from './our-contender.ts';
import { startPeers } from './peers.ts';
import type { Peers, PeerVersions } from './peers.ts';
import { comparisonsOf, exactTreeSpec } from './sweeps.ts';
import type { Comparison } from './sweeps.ts';

/** Everything that a table, a plot or a program needs to know of one run. */
export interface BenchResult {
  hardware: Hardware;
  data: { name: string; numRows: number; dim: number; numQueries: number; metric: string };
  k: number;
  seed: number;
  threads: number;
  rounds: number;
  roundSeconds: number;
  /** Versions of what ours was compared with, or the sentence that says why with nothing. */
  peers: PeerVersions | string;
  rows: BenchRow[];
  /** Ours and the peers' at the recalls that people ask for. */
  atRecall: AtRecall[];
  /** Where the exact tree is among the kinds. */
  dimensions: DimensionPoint[];
}

/** What a run tells while it works. */
export interface BenchReport {
  line(text: string): void;
  progress(what: string, done: number, total: number): void;
}

export interface BenchDeps {
  useStores: UseStores;
  signal: AbortSignal;
  report: BenchReport;
}

/** Runs the sweeps of all asked kinds on one set of vectors, with the peers where there are any. */
export async function runBench(options: BenchOptions, { useStores, signal, report }: BenchDeps): Promise<BenchResult> {
  const { kinds, k, seed, threads, quick } = options;
  const timing = timingOf(options);
  const data = await loadDataset(options, useStores, signal);
  if (data.rows.size < k) {
    throw new LookalikeError('invalidInput', `Expected at least k = ${k} vectors to search, got ${data.rows.size}.`);
  }
  report.line(`${data.name}: ${data.rows.size} rows, ${data.queries.size} queries, ${data.rows.dim} dimensions.`);
  const peers = options.python === null ? 'No peers: none were asked for.' : await startPeers(options.python, signal);
  if (typeof peers === 'string') report.line(peers);
  try {
    const truth = await withMachine(threads, (machine) => groundTruth(data, k, machine, signal));
    if (typeof peers !== 'string') await peers.load(data, k, threads);
    const shape = { numRows: data.rows.size, dim: data.rows.dim, metric: data.metric, seed, quick };
    const rows: BenchRow[] = [];
    for (const comparison of comparisonsOf(kinds, shape)) {
      const context = { data, truth, k, timing, signal, report, peers: typeof peers === 'string' ? null : peers };
      rows.push(...(await withMachine(threads, (machine) => compare(comparison, { ...context, machine }))));
    }
    const tree = kinds.includes('kdTree') ? exactTreeSpec(seed) : undefined;
    const onProgress = (done: number, total: number): void => report.progress('dimensions', done, total);
    return {
      hardware: hardware(),
      data: {
        name: data.name,
        numRows: data.rows.size,
        dim: data.rows.dim,
        numQueries: data.queries.size,
        metric: data.metric,
      },
      k,
      seed,
      threads,
      rounds: timing.rounds,
      roundSeconds: timing.seconds,
      peers: typeof peers === 'string' ? peers : peers.versions,
      rows,
      atRecall: atRecallOf(rows),
      dimensions: tree === undefined ? [] : await dimensionSweep(tree, { quick, k, seed, timing, signal, onProgress }),
    };
  } finally {
    if (typeof peers !== 'string') await peers.close();
  }
}

interface CompareContext {
  data: Dataset;
  truth: GroundTruth;
  k: number;
  timing: ReturnType<typeof timingOf>;
  peers: Peers | null;
  machine: AnnMachine;
  signal: AbortSignal;
  report: BenchReport;
}

async function compare(comparison: Comparison, context: CompareContext): Promise<BenchRow[]> {
  const { name, spec, efforts, ratio } = comparison;
  const { data, truth, k, timing, peers, machine, signal, report } = context;
  const theirs: Contender[] = [];
  try {
    const building = (done: number, total: number): void => report.progress(`${name}: build`, done, total);
    const ours = await buildOurs({ name, spec, efforts }, { data, k, machine, signal, onProgress: building });
    for (const peer of comparison.peers) {
      if (peers?.has(peer.library) === true) theirs.push(await peers.build(peer));
    }
    const onProgress = (done: number, total: number): void => report.progress(`${name}: ask`, done, total);
    const sameWork = ratio === 'work';
    return await measure({ kind: spec.kind, ours, peers: theirs, data, truth, timing, sameWork, signal, onProgress });
  } finally {
    // After an abort the peer is gone already, and what interrupted the work is what is told.
    if (!signal.aborted) for (const one of theirs) await one.close();
  }
}
