import { Option } from 'commander';
import type { Command } from 'commander';
import { LookalikeError } from '../contracts/errors.ts';
import { catalogueLearningData, drawnLearningData } from '../infra/bench/train/learning-data.ts';
import {
  LEARNING_HEADING,
  learningCells,
  learningSettingLines,
  writeLearningReport,
} from '../infra/bench/train/learning-report.ts';
import { runLearningBench } from '../infra/bench/train/run-learning-bench.ts';
import { TRAIN_HEADING, trainCells, trainSettingLines, writeTrainReport } from '../infra/bench/train/report.ts';
import { runTrainBench } from '../infra/bench/train/run-train-bench.ts';
import { RECIPES } from '../infra/recipes/recipes.ts';
import { amount, catalogueName, wholeNumber, wholeNumbers } from './options.ts';
import type { CommandContext } from './run-command.ts';
import { handles, withStores } from './run-command.ts';
import { table } from './table.ts';

interface BenchTrainOptions {
  model: 'head' | 'convnet';
  features: number;
  dim: number;
  labels: number;
  batch: number;
  steps: number;
  replicas: number[];
  shards: number;
  rounds: number;
  seed: number;
  python: string;
  learn?: boolean;
  catalogue?: string;
  epochs: number;
  target?: number;
  out?: string;
}

/** Of each label in a batch, where learning is measured. */
const SAMPLES_PER_LABEL = 4;

/** `bench train`: data-parallel training on this machine, beside PyTorch's DDP where Python has it. */
export function addBenchTrainCommand(bench: Command): void {
  handles<BenchTrainOptions>(
    bench
      .command('train')
      .description('measure data-parallel training: step time, bytes, waiting, in every mode and compression')
      .addOption(
        new Option('--model <name>', 'a head, or a convolutional network of 56,714 parameters')
          .choices(['head', 'convnet'])
          .default('head'),
      )
      .option('--features <count>', 'input dimensions of the head', wholeNumber(1, 65_536), 1280)
      .option('--dim <count>', 'output dimensions', wholeNumber(1, 4096), 256)
      .option('--labels <count>', 'labels, a proxy each', wholeNumber(2, 1_000_000), 128)
      .option('--batch <rows>', 'rows of a global batch', wholeNumber(2, 65_536), 256)
      .option('--steps <count>', 'steps that are counted', wholeNumber(2, 100_000), 60)
      .option('--replicas <list>', 'how many besides one, comma-separated', wholeNumbers, [2, 4])
      .option('--shards <count>', 'parameter shards, a process each', wholeNumber(1, 64), 2)
      .option('--rounds <count>', 'every contender in turns this often; its best round counts', wholeNumber(1, 100), 2)
      .option('--seed <number>', 'of data and start values', wholeNumber(0, 2 ** 31), 1)
      .option('--python <path>', 'a Python that may have PyTorch; none: no peer', 'python3')
      .option('--learn', 'measure what is learnt when, and what each compression costs, not how fast steps are')
      .option('--catalogue <name>', 'with --learn: cached features of a catalogue, not drawn ones', catalogueName)
      .option('--epochs <count>', 'with --learn: epochs of each run', wholeNumber(1, 10_000), 30)
      .option(
        '--target <recall>',
        'with --learn: recall@1 to be reached (default: nearly the best of one process)',
        amount(0, 1),
      )
      .option('--out <folder>', 'where JSON, SVG and PNG go (default: no files)'),
    runBenchTrain,
  );
}

async function runBenchTrain(context: CommandContext, options: BenchTrainOptions): Promise<void> {
  if (options.learn === true) return runBenchLearning(context, options);
  if (options.catalogue !== undefined) {
    throw new LookalikeError(
      'invalidInput',
      'Expected --catalogue with --learn only: speed does not depend on the data.',
    );
  }
  const { model, features, dim, labels, batch, steps, seed, replicas, shards, rounds, python, out } = options;
  const { progress, signal, config } = context;
  const task = progress.task('train', '');
  const result = await runTrainBench(
    config,
    {
      workload: { model, features, dim, labels, batch, steps, seed },
      replicas: replicas.filter((count) => count > 1),
      shards,
      rounds,
      python: python === 'none' ? null : python,
    },
    { signal, progress: (done, total) => task.update(done, total) },
  );
  task.finish('done');
  const files = out === undefined ? [] : await writeTrainReport(result, out);
  for (const file of files) progress.line(`  ${file}`);
  context.print({ ...result, files }, () =>
    [...trainSettingLines(result), '', table(TRAIN_HEADING, trainCells(result.rows))].join('\n'),
  );
}

async function runBenchLearning(context: CommandContext, options: BenchTrainOptions): Promise<void> {
  const { catalogue, features, labels, dim, batch, epochs, seed, replicas, shards, target, out } = options;
  const { progress, signal, config } = context;
  const data =
    catalogue === undefined
      ? drawnLearningData({ features, labels, seed })
      : await withStores(context, (stores) => catalogueLearningData(stores, catalogue));
  const labelsPerBatch = Math.max(1, Math.round(batch / SAMPLES_PER_LABEL));
  const shape = { dim, epochs, seed, labelsPerBatch, samplesPerLabel: SAMPLES_PER_LABEL };
  const task = progress.task('train', '');
  const result = await runLearningBench(
    config,
    {
      name: catalogue === undefined ? 'Drawn features' : `Catalogue ${catalogue}`,
      data,
      // No pauses for checkpoints: they are the same in every mode.
      train: { ...RECIPES['default']!.config.train, ...shape, checkpointEverySteps: 1_000_000 },
      replicas: replicas.filter((count) => count > 1),
      shards,
      ...(target !== undefined && { target }),
    },
    { signal, progress: (done, total) => task.update(done, total) },
  );
  task.finish('done');
  const files = out === undefined ? [] : await writeLearningReport(result, out);
  for (const file of files) progress.line(`  ${file}`);
  context.print({ ...result, files }, () =>
    [...learningSettingLines(result), '', table(LEARNING_HEADING, learningCells(result.rows))].join('\n'),
  );
}
