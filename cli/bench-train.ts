import { Option } from 'commander';
import type { Command } from 'commander';
import { TRAIN_HEADING, trainCells, trainSettingLines, writeTrainReport } from '../infra/bench/train/report.ts';
import { runTrainBench } from '../infra/bench/train/run-train-bench.ts';
import { wholeNumber, wholeNumbers } from './options.ts';
import type { CommandContext } from './run-command.ts';
import { handles } from './run-command.ts';
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
  out?: string;
}

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
      .option('--out <folder>', 'where result.json, SVG and PNG go (default: no files)'),
    runBenchTrain,
  );
}

async function runBenchTrain(context: CommandContext, options: BenchTrainOptions): Promise<void> {
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
