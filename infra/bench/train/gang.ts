import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LookalikeError } from '../../../contracts/errors.ts';
import type { DataParallelConfig } from '../../../contracts/training.ts';
import { TENSORFLOW_ENV } from '../../compute/tensorflow.ts';
import { childEnv } from '../../config/env.ts';
import type { Config } from '../../config/env.ts';
import { meanFigures } from './step-figures.ts';
import type { StepFigures } from './step-figures.ts';
import type { TrainWorkload } from './workload.ts';

/** Parent to child: what this process is. */
export interface PartRequest extends Pick<Config, 'backend' | 'cacheDir'> {
  role: 'single' | 'replica' | 'shard';
  index: number;
  workload: TrainWorkload;
  dataParallel?: DataParallelConfig;
  numShards: number;
  endpoints: { shard: number; url: string }[];
  token: string;
  runName: string;
  /** Where it listens. */
  host: string;
}

/** A machine, or what stands for one: its address, and the words with which a program is started there. */
export interface GangHost {
  address: string;
  command: readonly string[];
}

/** Parent to child, once all ranks of a ring listen; or it is to tell what it has measured so far. */
export type PartNews = { endpoints: PartRequest['endpoints'] } | 'report';

/** Child to parent. */
export type PartReport =
  | { type: 'listening'; url: string }
  | {
      type: 'done';
      backend: string;
      /** Null: it counted no step. */
      figures: StepFigures | null;
      /** Of the one that validates. */
      curve?: LearningCurve;
    };

/** What was learnt when. Losses are those of the slice of the process that validates. */
export interface LearningCurve {
  lossByStep: number[];
  /** Validation recall@1 after each epoch, and the steps and seconds that it took. */
  epochs: { step: number; seconds: number; recall: number }[];
}

export type GangFigures = StepFigures & { backend: string; curve?: LearningCurve };

/**
 * Runs a training on as many processes of this machine as it has parts and answers the mean over its replicas. Without `dataParallel` one
 * process trains alone. No process outlives it.
 * @param hosts one for each shard, then one for each replica; without, all talk over loopback
 */
export async function measureGang(
  config: Pick<Config, 'backend' | 'cacheDir'>,
  workload: TrainWorkload,
  dataParallel: DataParallelConfig | undefined,
  signal: AbortSignal,
  hosts: readonly GangHost[] = [],
): Promise<GangFigures> {
  const numShards = dataParallel?.exchange.kind === 'parameterServer' ? dataParallel.exchange.shards : 0;
  const common = { backend: config.backend, cacheDir: config.cacheDir, workload, dataParallel, numShards };
  const secrets = { token: randomBytes(32).toString('hex'), runName: `bench-${randomBytes(8).toString('hex')}` };
  const children: ChildProcess[] = [];
  const start = (
    role: PartRequest['role'],
    index: number,
    endpoints: PartRequest['endpoints'],
  ): Promise<PartReport> => {
    const place = hosts[children.length];
    const child = startPart(place);
    children.push(child);
    const report = nextReport(child, role, signal);
    const host = place?.address ?? '127.0.0.1';
    child.send({ ...common, ...secrets, role, index, endpoints, host } satisfies PartRequest);
    return report;
  };
  try {
    if (dataParallel === undefined) return meanOf([await start('single', 0, [])]);
    const shards = await Promise.all(Array.from({ length: numShards }, (_, index) => start('shard', index, [])));
    const { replicas, exchange } = dataParallel;
    let ranks = Array.from({ length: replicas }, (_, index) => start('replica', index, endpointsOf(shards)));
    const trained = children.slice(numShards);
    if (exchange.kind === 'allReduce') {
      const endpoints = endpointsOf(await Promise.all(ranks));
      ranks = trained.map((child) => nextReport(child, 'replica', signal));
      for (const child of trained) child.send({ endpoints } satisfies PartNews);
    }
    // One that fails ends the run; the lead alone says when it is over.
    await Promise.race([ranks[0], Promise.all(ranks)]);
    for (const child of trained.slice(1)) child.send('report' satisfies PartNews);
    return meanOf(await Promise.all(ranks));
  } finally {
    await Promise.all(children.map(stop));
  }
}

function startPart(host?: GangHost): ChildProcess {
  const entry = fileURLToPath(new URL(`./part${extname(import.meta.url)}`, import.meta.url));
  const { command = [] } = host ?? {};
  // The words that lead to the host come first, and Node is what they start.
  const place = {
    execPath: command[0] ?? process.execPath,
    execArgv: command.length === 0 ? [] : [...command.slice(1), process.execPath],
  };
  return fork(entry, { ...place, env: childEnv(TENSORFLOW_ENV), stdio: ['ignore', 2, 2, 'ipc'] });
}

function endpointsOf(reports: readonly PartReport[]): PartRequest['endpoints'] {
  return reports.flatMap((report, shard) => (report.type === 'listening' ? [{ shard, url: report.url }] : []));
}

function nextReport(child: ChildProcess, role: PartRequest['role'], signal: AbortSignal): Promise<PartReport> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new LookalikeError('cancelled', 'The bench was stopped.'));
    signal.addEventListener('abort', abort, { once: true });
    child.once('message', (report: PartReport) => resolve(report));
    child.once('error', reject);
    child.once('exit', (code, killedBy) =>
      reject(new LookalikeError('unavailable', `A ${role} ended early (${killedBy ?? `exit ${code}`}).`)),
    );
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
}

function meanOf(all: PartReport[]): GangFigures {
  const reports = all.filter((report) => report.type === 'done');
  return {
    backend: reports[0]?.backend ?? 'none',
    ...meanFigures(reports.map(({ figures }) => figures)),
    curve: reports.find(({ curve }) => curve !== undefined)?.curve,
  };
}
