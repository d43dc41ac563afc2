import { availableParallelism } from 'node:os';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { METRICS } from '../contracts/ann.ts';
import type { Metric } from '../contracts/ann.ts';
import { LookalikeError } from '../contracts/errors.ts';
import type { VectorSource } from '../infra/bench/bench-options.ts';
import { recommendIndex } from '../infra/bench/recommend-index.ts';
import {
  AT_RECALL_HEADING,
  atRecallCells,
  AUTO_HEADING,
  autoCells,
  RESULT_HEADING,
  resultCells,
} from '../infra/bench/result-table.ts';
import { runBench } from '../infra/bench/run-bench.ts';
import { SWEPT_KINDS } from '../infra/bench/sweeps.ts';
import type { SweptKind } from '../infra/bench/sweeps.ts';
import { settingLines, writeReport } from '../infra/bench/write-report.ts';
import { addBenchTrainCommand } from './bench-train.ts';
import { amount, catalogueName, wholeNumber } from './options.ts';
import type { CommandContext } from './run-command.ts';
import { handles, withStores } from './run-command.ts';
import { table } from './table.ts';

interface BenchAnnOptions {
  vectors?: string;
  queries?: string;
  column?: string;
  catalogue?: string;
  n?: number;
  dim?: number;
  noiseRank: number;
  metric: Metric;
  k: number;
  kinds: SweptKind[];
  threads: number;
  seed: number;
  python: string;
  out?: string;
  quick?: boolean;
  rounds?: number;
  roundSeconds?: number;
  auto?: boolean;
  recall: number;
  maxBytes?: number;
}

/** `bench ann`: every kind of index over its parameters, beside faiss and hnswlib where Python has them. */
export function addBenchCommand(program: Command): void {
  const bench = program.command('bench').description('measure on this machine; needs no running stack');
  handles<BenchAnnOptions>(
    bench
      .command('ann')
      .description('compare all kinds of index: recall, queries/s, memory and build time, with drawings')
      .option('--vectors <file>', 'your own: .npy (float32 or float16), .fvecs, or .parquet with a column of lists')
      .option('--queries <file>', 'what is asked, in the same formats (default: a part of the vectors, held out)')
      .option('--column <name>', 'the column of a .parquet that has several of lists')
      .option('--catalogue <name>', 'the embeddings that serve this catalogue', catalogueName)
      .option('--n <count>', 'how many vectors: to draw (default: 10000), or at most of a file', wholeNumber(1))
      .option('--dim <count>', 'dimensions of drawn vectors (default: 128)', wholeNumber(1, 65_536))
      .option('--noise-rank <count>', 'directions in which drawn vectors stray from their centre', wholeNumber(1), 32)
      .addOption(new Option('--metric <metric>', 'what is near').choices(METRICS).default('cosine'))
      .option('--k <count>', 'neighbours wanted', wholeNumber(1, 1_000), 10)
      .option('--kinds <list>', `comma-separated, of ${SWEPT_KINDS.join(', ')} (default: all)`, kindList, SWEPT_KINDS)
      .option('--threads <count>', 'threads of batches and builds', wholeNumber(1, 256), availableParallelism())
      .option('--seed <number>', 'of drawn vectors, held-out queries and indices', wholeNumber(0, 2 ** 31), 1)
      .option('--python <path>', 'a Python that may have faiss and hnswlib; none: no peers', 'python3')
      .option('--out <folder>', 'where result.json, SVG, PNG and report.html go (default: no files)')
      .option('--auto', 'only recommend: the kind and parameters that answer soonest for --recall within --max-bytes')
      .option('--recall <share>', 'with --auto: part of the true neighbours to be found', amount(0, 1), 0.95)
      .option('--max-bytes <count>', 'with --auto: memory that an index may take', wholeNumber(1))
      .option('--rounds <count>', 'of each measurement; the best counts (default: 5)', wholeNumber(1, 100))
      .option('--round-seconds <seconds>', 'of one round (default: 0.25)', amount(0.01, 60))
      .option('--quick', 'fewer parameters and shorter rounds: to see it work, not to quote'),
    runBenchAnn,
  );
  addBenchTrainCommand(bench);
}

async function runBenchAnn(context: CommandContext, options: BenchAnnOptions): Promise<void> {
  const { metric, k, kinds, threads, seed, python, quick = false, rounds, roundSeconds, out } = options;
  const { progress, signal } = context;
  if (options.auto === true) return recommend(context, options);
  const tasks = new Map<string, ReturnType<typeof progress.task>>();
  const result = await runBench(
    {
      ...{ source: sourceOf(options), metric, k, kinds, threads, seed, quick, rounds, roundSeconds },
      python: python === 'none' ? null : python,
    },
    {
      signal,
      useStores: (use) => withStores(context, use),
      report: {
        line: (text) => progress.line(text),
        progress(what, done, total) {
          const task = tasks.get(what) ?? progress.task(what, '');
          tasks.set(what, task);
          task.update(done, total);
          if (done >= total) task.finish('done');
        },
      },
    },
  );
  const files = out === undefined ? [] : await writeReport(result, out);
  for (const file of files) progress.line(`  ${file}`);
  context.print({ ...result, files }, () =>
    [
      ...settingLines(result),
      '',
      table(RESULT_HEADING, resultCells(result.rows)),
      '',
      table(AT_RECALL_HEADING, atRecallCells(result.atRecall)),
    ].join('\n'),
  );
}

/** Measures candidates on a sample and says which to take, as `--set` would name it. */
async function recommend(context: CommandContext, options: BenchAnnOptions): Promise<void> {
  const { metric, k, recall, maxBytes = null, threads, seed } = options;
  const source = sourceOf(options);
  const choice = await recommendIndex(
    { source, metric, k, recall, maxBytes, threads, seed },
    { signal: context.signal, useStores: (use) => withStores(context, use) },
  );
  context.print(choice, () => [table(AUTO_HEADING, autoCells(choice.measured)), '', choice.reason].join('\n'));
}

/** @throws LookalikeError `invalidInput` when options contradict each other */
function sourceOf(options: BenchAnnOptions): VectorSource {
  const { vectors, queries, column, catalogue, n, dim, noiseRank } = options;
  if (vectors !== undefined && catalogue !== undefined) {
    throw new LookalikeError('invalidInput', 'Expected --vectors or --catalogue, got both.');
  }
  if (vectors === undefined && (queries !== undefined || column !== undefined)) {
    throw new LookalikeError('invalidInput', 'Expected --vectors with --queries or --column, got none.');
  }
  if ((vectors ?? catalogue) !== undefined && dim !== undefined) {
    throw new LookalikeError('invalidInput', 'Expected --dim only for drawn vectors; given ones have their own.');
  }
  if (vectors !== undefined) return { kind: 'file', path: vectors, queries, column, size: n };
  if (catalogue !== undefined) return { kind: 'catalogue', catalogue, size: n };
  return { kind: 'synthetic', size: n ?? 10_000, dim: dim ?? 128, noiseRank };
}

/** Kinds of index, for commander. */
function kindList(text: string): SweptKind[] {
  return text.split(',').map((name) => {
    const kind = SWEPT_KINDS.find((one) => one === name.trim());
    if (kind !== undefined) return kind;
    throw new InvalidArgumentError(`Expected kinds of ${SWEPT_KINDS.join(', ')}, got "${name}".`);
  });
}
