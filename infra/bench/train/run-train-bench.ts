import type { DataParallelConfig } from '../../../contracts/training.ts';
import type { Config } from '../../config/env.ts';
import { hardware } from '../hardware.ts';
import type { Hardware } from '../hardware.ts';
import { measureDdp } from './ddp.ts';
import { measureGang } from './gang.ts';
import type { StepFigures } from './step-figures.ts';
import { layoutOfWorkload } from './layout.ts';
import { waysOf } from './ways.ts';
import type { TrainWorkload } from './workload.ts';

export interface TrainBenchOptions {
  workload: TrainWorkload;
  /** Numbers of replicas that are measured besides one. */
  replicas: number[];
  shards: number;
  /** Every contender once per round, in turns; the best round counts. */
  rounds: number;
  /** Null: no peer. */
  python: string | null;
}

/** What one way of training reached. */
export interface TrainBenchRow extends StepFigures {
  name: string;
  by: 'lookalike' | 'peer';
  replicas: number;
  /** Rows learnt from per second, of all replicas. */
  rowsPerSecond: number;
  /** `rowsPerSecond` over that of the same program on one process, over the number of replicas. */
  efficiency: number;
  /** The smallest number of bytes that a replica must send and receive in a step without compression. */
  boundBytes: number;
  /** The peer's median step time over ours; above 1 ours is faster. */
  ratio: number | null;
}

export interface TrainBenchResult {
  hardware: Hardware;
  options: TrainBenchOptions;
  parameters: number;
  backend: string;
  /** PyTorch's version, or why there is no peer. */
  peer: string;
  rows: TrainBenchRow[];
}

export interface TrainBenchHooks {
  signal: AbortSignal;
  progress: (done: number, total: number) => void;
}

interface Contender {
  name: string;
  by: TrainBenchRow['by'];
  /** Whether replicas add gradients among themselves, without a server. */
  isRing: boolean;
  replicas: number;
  measure: () => Promise<(StepFigures & { backend?: string; torch?: string }) | string>;
}

/** Measures training on one process, and on several in every mode and compression, beside PyTorch's DDP in the same run. */
export async function runTrainBench(
  config: Pick<Config, 'backend' | 'cacheDir'>,
  options: TrainBenchOptions,
  { signal, progress }: TrainBenchHooks,
): Promise<TrainBenchResult> {
  const { workload, rounds } = options;
  const contenders = contendersOf(config, options, signal);
  const best = new Map<Contender, StepFigures>();
  let backend = 'none';
  let peer = 'not asked for';
  for (let round = 0, done = 0; round < rounds; round++) {
    for (const contender of contenders) {
      progress(done++, rounds * contenders.length);
      const figures = await contender.measure();
      if (typeof figures === 'string') {
        peer = figures;
        continue;
      }
      if (figures.backend !== undefined) backend = figures.backend;
      if (figures.torch !== undefined) peer = `PyTorch ${figures.torch}, DDP over gloo`;
      if (figures.stepsPerSecond > (best.get(contender)?.stepsPerSecond ?? 0)) best.set(contender, figures);
    }
  }
  progress(1, 1);
  const parameters = layoutOfWorkload(workload).length;
  const measured = contenders.flatMap((contender) => {
    const figures = best.get(contender);
    return figures === undefined ? [] : [{ ...contender, figures }];
  });
  const rows = measured.map(({ name, by, isRing, replicas, figures }): TrainBenchRow => {
    const alone = measured.find((each) => each.by === by && each.replicas === 1)?.figures;
    const opponent = measured.find((each) => each.by === 'peer' && each.replicas === replicas)?.figures;
    const { stepsPerSecond, medianStepMs, bytesPerStep, waitShare } = figures;
    return {
      ...{ name, by, replicas, stepsPerSecond, medianStepMs, bytesPerStep, waitShare },
      rowsPerSecond: stepsPerSecond * workload.batch,
      efficiency: alone === undefined ? 1 : stepsPerSecond / alone.stepsPerSecond / replicas,
      // A server takes every gradient and gives all parameters; a ring moves (n - 1) / n of both.
      boundBytes: replicas === 1 ? 0 : 8 * parameters * (isRing ? (2 * (replicas - 1)) / replicas : 1),
      ratio: by === 'peer' || opponent === undefined ? null : opponent.medianStepMs / medianStepMs,
    };
  });
  return { hardware: hardware(), options, parameters, backend, peer, rows };
}

function contendersOf(
  config: Pick<Config, 'backend' | 'cacheDir'>,
  { workload, replicas: sizes, shards, python }: TrainBenchOptions,
  signal: AbortSignal,
): Contender[] {
  const ours = (name: string, replicas: number, dataParallel?: DataParallelConfig): Contender => ({
    name,
    by: 'lookalike',
    isRing: dataParallel?.exchange.kind === 'allReduce',
    replicas,
    measure: () => measureGang(config, workload, dataParallel, signal),
  });
  const peer = (replicas: number): Contender[] =>
    python === null
      ? []
      : [
          {
            name: replicas === 1 ? 'PyTorch' : 'PyTorch DDP',
            by: 'peer',
            isRing: true,
            replicas,
            measure: async () => {
              const figures = await measureDdp(python, workload, replicas, signal);
              return typeof figures === 'string' ? figures : { ...figures, waitShare: 0 };
            },
          },
        ];
  return [
    ours('single', 1),
    ...peer(1),
    ...sizes.flatMap((replicas) => {
      const [sync, ring, ...others] = waysOf(replicas, shards).map((way) => ours(way.name, replicas, way.dataParallel));
      return [sync!, ring!, ...peer(replicas), ...others];
    }),
  ];
}
