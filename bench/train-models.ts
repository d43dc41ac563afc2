/**
 * When does it pay to split the model instead of the batch? Bytes and messages of a step under data parallelism (two times the
 * parameters per worker; computed) and under pipelines (computed, and measured on the wire), and the batch at which they are equal,
 * for a convolutional and for a fully connected network; step times; and, with --memory, a model that no single process may hold.
 *
 *     node bench/train-models.ts [--backend auto] [--steps 20] [--rows 32] [--micro-batches 4] [--width 1024] [--depth 4] [--seed 1]
 *                                [--memory] [--memory-width 2048] [--memory-depth 12] [--limit-mb 190]
 */
import { parseArgs } from 'node:util';
import { LookalikeError, errorMessage } from '../contracts/errors.ts';
import { loadConfig } from '../infra/config/env.ts';
import type { PipelineJob } from '../infra/pipeline/protocol.ts';
import { runPipeline } from '../infra/pipeline/run-pipeline.ts';
import type { PipelineOutcome } from '../infra/pipeline/run-pipeline.ts';
import { cutByCost } from '../lib/pipeline/cut.ts';
import type { Cut } from '../lib/pipeline/cut.ts';
import { layoutOf } from '../lib/pipeline/model.ts';
import { momentsPerParameter } from '../lib/pipeline/part-state.ts';
import { timeline } from '../lib/pipeline/schedule.ts';
import type { PipelineShape } from '../lib/pipeline/schedule.ts';
import { modelOf } from '../lib/pipeline/task.ts';
import type { ModelSpec } from '../lib/pipeline/task.ts';
import {
  crossoverRows,
  dataParallelTraffic,
  pipelineTraffic,
  splitClassifierTraffic,
} from '../lib/pipeline/traffic.ts';

const { values } = parseArgs({
  options: {
    backend: { type: 'string', default: 'auto' },
    steps: { type: 'string', default: '20' },
    rows: { type: 'string', default: '32' },
    'micro-batches': { type: 'string', default: '4' },
    width: { type: 'string', default: '1024' },
    depth: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    memory: { type: 'boolean', default: false },
    'memory-width': { type: 'string', default: '2048' },
    'memory-depth': { type: 'string', default: '12' },
    'limit-mb': { type: 'string', default: '190' },
  },
});
const [numSteps, numRows, numMicroBatches] = [values.steps, values.rows, values['micro-batches']].map(Number) as [
  number,
  number,
  number,
];
const config = { ...loadConfig(), backend: values.backend as PipelineConfig['backend'] };
type PipelineConfig = ReturnType<typeof loadConfig>;

const OPTIMIZER = { kind: 'sgd', momentum: 0.9, weightDecay: 0 } as const;
const SERVER = { kind: 'parameterServer', shards: 1 } as const;
const RING = { kind: 'allReduce' } as const;
/** Rough figures of one core and of loopback: cuts change little with them. */
const MACHINE = { flopsPerSecond: 1e10, bytesPerSecond: 1e9, memoryBytes: Infinity };
/** A process needs this beside what a cut reckons with: arrays that wait for the collector, and what sockets hold. */
const SLACK_BYTES = 100e6;

function fullyConnected(width: number, depth: number): ModelSpec {
  return { kind: 'fullyConnected', inputDim: width, width, depth, numLabels: 10 };
}

function shapeOf(numStages: number): PipelineShape {
  return { schedule: 'oneForwardOneBackward', numStages, numMicroBatches };
}

function cutOf(spec: ModelSpec, numStages: number, memoryBytes = Infinity): Cut {
  return cutByCost(modelOf(spec), {
    pipeline: shapeOf(numStages),
    microBatchRows: Math.ceil(numRows / numMicroBatches),
    numMoments: momentsPerParameter(OPTIMIZER.kind),
    machine: { ...MACHINE, memoryBytes },
  });
}

function train(spec: ModelSpec, cut: Cut, steps: number, memoryBytes?: number): Promise<PipelineOutcome> {
  const job: PipelineJob = {
    model: spec,
    firstLayers: cut.slice(1).map(({ layerNames }) => layerNames[0]!),
    pipeline: shapeOf(cut.length),
    optimizer: OPTIMIZER,
    learningRate: 0.001,
    numRows,
    numSteps: steps,
    seed: Number(values.seed),
  };
  return runPipeline({ config, job, run: `bench-${cut.length}`, ...(memoryBytes !== undefined && { memoryBytes }) });
}

/** Median time between two losses, without the first quarter. */
function stepMs({ lossAtMs }: PipelineOutcome): number {
  const steps = lossAtMs.slice(1).map((at, i) => at - lossAtMs[i]!);
  const settled = steps.slice(Math.floor(steps.length / 4)).sort((a, b) => a - b);
  return settled[Math.floor(settled.length / 2)]!;
}

function sentBytes({ stages }: PipelineOutcome): number {
  return stages.reduce((sum, { previous, next }) => sum + (previous?.sentBytes ?? 0) + (next?.sentBytes ?? 0), 0);
}

async function compare(spec: ModelSpec): Promise<object> {
  const model = modelOf(spec);
  const alone = await train(spec, cutOf(spec, 1), numSteps);
  const splits = [];
  for (const numMachines of [2, 4]) {
    const cut = cutOf(spec, numMachines);
    const foretold = pipelineTraffic(cut, { numRows, numMicroBatches });
    const outcome = await train(spec, cut, numSteps);
    const seconds = cut.map(({ computeSeconds, sentBytes: bytes }) => ({
      forward: computeSeconds / 4,
      backward: (computeSeconds * 3) / 4,
      link: bytes / MACHINE.bytesPerSecond,
    }));
    splits.push({
      numMachines,
      stages: cut.map(({ layerNames }) => layerNames.join(' ')),
      dataParallel: {
        server: dataParallelTraffic(model, numMachines, SERVER),
        ring: dataParallelTraffic(model, numMachines, RING),
      },
      pipeline: { ...foretold, measuredBytes: sentBytes(outcome) / numSteps },
      crossoverRows: {
        server: crossoverRows(model, cut, numMachines, SERVER),
        ring: crossoverRows(model, cut, numMachines, RING),
      },
      bubbleShare: timeline(shapeOf(numMachines), seconds).bubbleShare,
      stepMs: stepMs(outcome),
      waitShare: outcome.stages.map(
        ({ previous, next }) => ((previous?.waitMs ?? 0) + (next?.waitMs ?? 0)) / outcome.lossAtMs.at(-1)!,
      ),
      largestLossError: Math.max(...outcome.losses.map((loss, i) => Math.abs(loss / alone.losses[i]! - 1))),
    });
  }
  return {
    model: spec,
    numParameters: layoutOf(model).length,
    backend: alone.stages[0]!.backend,
    aloneStepMs: stepMs(alone),
    splits,
  };
}

async function memory(): Promise<object> {
  const spec = fullyConnected(Number(values['memory-width']), Number(values['memory-depth']));
  const limitBytes = Number(values['limit-mb']) * 1e6;
  const refused = await outcomeOf(async () => cutOf(spec, 1, limitBytes - SLACK_BYTES));
  const alone = await outcomeOf(() => train(spec, cutOf(spec, 1), 2, limitBytes));
  let cut: Cut | undefined;
  for (let numStages = 2; cut === undefined; numStages++) {
    try {
      cut = cutOf(spec, numStages, limitBytes - SLACK_BYTES);
    } catch (error) {
      if (!(error instanceof LookalikeError) || numStages > modelOf(spec).layers.length) throw error;
    }
  }
  const { losses, stages } = await train(spec, cut, 4, limitBytes);
  return {
    model: spec,
    parameterBytes: 4 * layoutOf(modelOf(spec)).length,
    limitBytes,
    oneProcess: { cut: refused, allTheSame: alone },
    numStages: cut.length,
    losses,
    stages: stages.map(({ parameterBytes, baseRssBytes, peakRssBytes }, i) => ({
      parameterBytes,
      reckonedBytes: cut[i]!.memoryBytes,
      grownBytes: peakRssBytes - baseRssBytes,
    })),
  };
}

async function outcomeOf(work: () => Promise<unknown>): Promise<string> {
  return work().then(
    () => 'it went well',
    (error: unknown) => errorMessage(error),
  );
}

const report = {
  numRows,
  numMicroBatches,
  numSteps,
  models: [
    await compare({ kind: 'convnet' }),
    await compare(fullyConnected(Number(values.width), Number(values.depth))),
  ],
  /** 100,000 labels of 256 numbers: 102 MB that need not travel. */
  splitClassifier: splitClassifierTraffic({ dim: 256, numMachines: 2 }, { numRows, numMicroBatches: 1 }),
  ...(values.memory && { memory: await memory() }),
};
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
