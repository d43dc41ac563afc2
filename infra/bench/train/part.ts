/** Entry of one process of a measured gang: a parameter shard, a replica, or a run on its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import { planOf } from '../../../lib/train/data-parallel-plan.ts';
import { HeadProgram } from '../../../lib/train/head-program.ts';
import { Lead } from '../../../lib/train/lead.ts';
import { trainHead } from '../../../lib/train/train-head.ts';
import type { StepReport } from '../../../lib/train/train-head.ts';
import { trainReplica } from '../../../lib/train/train-replica.ts';
import { shardConfigsOf } from '../../../lib/sync/layout.ts';
import type { ParameterClient } from '../../../lib/sync/protocol.ts';
import { loadTensorFlow } from '../../compute/tensorflow.ts';
import { createParameterServer } from '../../sync/parameter-server.ts';
import { createConnector } from '../../training/exchange.ts';
import type { PartNews, PartReport, PartRequest } from './gang.ts';
import { layoutOfWorkload } from './layout.ts';
import { trainConvnetAlone, trainConvnetReplica } from './convnet.ts';
import { CurveRecorder } from './curve-recorder.ts';
import { readLearningData } from './learning-data.ts';
import { configOf, drawnData, WARM_UP_STEPS } from './workload.ts';

process.on('disconnect', () => process.exit());
/** Tells what a replica has measured so far. */
let report = (): void => undefined;
/** Where the others are: shards from the start, ranks of a ring once all of them listen. */
let endpoints: PartRequest['endpoints'] = [];
process.on('message', (request: PartRequest | PartNews) => {
  if (request === 'report') return report();
  endpoints = request.endpoints;
  if (!('role' in request)) return;
  run(request).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});

async function run(request: PartRequest): Promise<void> {
  const { workload, dataParallel, token, runName, host } = request;
  const config = configOf(workload, dataParallel);
  const layout = layoutOfWorkload(workload);
  if (request.role === 'shard') {
    const plan = planOf(config);
    const shards = shardConfigsOf(layout, request.numShards, plan.shard);
    const server = await createParameterServer({
      config: { dataPlane: { host, token } },
      run: runName,
      index: request.index,
      shard: shards[request.index]!,
    });
    tell({ type: 'listening', url: server.url });
    return;
  }
  const { tf, backend } = await loadTensorFlow(request);
  const times = new StepTimes();
  const { learning } = workload;
  const data = learning === undefined ? drawnData(workload) : await readLearningData(learning.data);
  const recorder = learning && new CurveRecorder();
  if (request.role === 'single') {
    const onStep = (report?: StepReport): Promise<void> => {
      times.mark();
      if (report) recorder?.step(report);
      return new Promise((resolve) => setImmediate(resolve));
    };
    if (workload.model === 'convnet') await trainConvnetAlone(tf, workload, config.optimizer, onStep);
    else await trainHead(tf, data, config, undefined, { onStep });
    const pace = times.summary();
    const figures = pace && { ...pace, bytesPerStep: 0, waitShare: 0 };
    tell({ type: 'done', backend, figures, curve: recorder?.curve });
    return;
  }
  let before = { bytes: 0, waitSeconds: 0, at: 0 };
  let numSteps = 0;
  let traffic = before;
  report = () => {
    const pace = times.summary();
    const figures = pace && {
      ...pace,
      bytesPerStep: (traffic.bytes - before.bytes) / (numSteps - WARM_UP_STEPS),
      waitShare: (traffic.waitSeconds - before.waitSeconds) / ((traffic.at - before.at) / 1000),
    };
    tell({ type: 'done', backend, figures, ...(request.index === 0 && { curve: recorder?.curve }) });
  };
  const site = {
    config: { dataPlane: { host, token } },
    run: runName,
    rank: request.index,
    attempt: 0,
    directory: {
      announceShard({ url }: { url: string }) {
        tell({ type: 'listening', url });
        return Promise.resolve(true);
      },
      shards: () => Promise.resolve(endpoints.map((each) => ({ ...each, run: runName, attempt: 0 }))),
    },
  };
  const connect = createConnector(site, config, layout);
  const onStep = (exchange: Pick<ParameterClient, 'traffic'>): void => {
    times.mark();
    numSteps += 1;
    const { sentBytes, receivedBytes, waitSeconds } = exchange.traffic();
    traffic = { bytes: sentBytes + receivedBytes, waitSeconds, at: performance.now() };
    if (numSteps === WARM_UP_STEPS) before = traffic;
  };
  if (workload.model === 'convnet') {
    const place = { slice: request.index, numSlices: dataParallel!.replicas };
    await trainConvnetReplica(tf, workload, await connect(), place, onStep);
  } else {
    const plan = planOf(config);
    const program = new HeadProgram(tf, data, config);
    const lead = request.index === 0 ? new Lead({ program, plan }) : undefined;
    await trainReplica({
      program,
      plan,
      rank: request.index,
      lead,
      connect,
      pause: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
      onStep: (step, exchange) => {
        onStep(exchange);
        recorder?.step(step);
      },
    });
    recorder?.end(program.numSteps, lead?.recallByEpoch ?? []);
  }
  // The lead alone returns: the others stay for whatever might have to be done again.
  report();
}

/** When steps ended. */
class StepTimes {
  readonly #ends: number[] = [];

  mark(): void {
    this.#ends.push(performance.now());
  }

  /** Null without a counted step. */
  summary(): { stepsPerSecond: number; medianStepMs: number } | null {
    const counted = this.#ends.slice(WARM_UP_STEPS - 1);
    if (counted.length < 2) return null;
    const steps = counted
      .slice(1)
      .map((end, i) => end - counted[i]!)
      .sort((a, b) => a - b);
    return {
      stepsPerSecond: (steps.length * 1000) / (counted.at(-1)! - counted[0]!),
      medianStepMs: steps[Math.floor(steps.length / 2)]!,
    };
  }
}

function tell(report: PartReport): void {
  process.send?.(report);
}
