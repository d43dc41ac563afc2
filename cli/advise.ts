import type { Command } from 'commander';
import { ADVICE_HEADING, adviceCells, adviseTrain } from '../infra/advise/advise-train.ts';
import type { Advice, AdviseTrainOptions } from '../infra/advise/advise-train.ts';
import { amount, amounts, wholeNumber, wholeNumbers } from './options.ts';
import { handles } from './run-command.ts';
import { table } from './table.ts';

/** `advise train`: which strategy for how many machines on which network, by simulation. */
export function addAdviseCommand(program: Command): void {
  const group = program.command('advise').description('predictions for machines that are not there yet');
  handles<AdviseTrainOptions>(
    group
      .command('train')
      .description('which strategy of data-parallel training serves how many replicas on which network, by simulation')
      .requiredOption('--parameters <count>', 'parameters of the model', wholeNumber(1))
      .requiredOption('--step-ms <ms>', 'computing time of one slice, forward and backward', amount(1e-6))
      .option('--replicas <list>', 'how many, comma-separated', wholeNumbers, [2, 4, 8, 16, 64, 256, 1024])
      .option('--gbit <list>', 'Gbit/s of each machine, comma-separated', amounts(1e-6), [1, 10, 100])
      .option('--message-us <us>', 'time of a message on the way, besides that of its bytes', amount(0), 100)
      .option('--frame-us <us>', 'processor time of a message at each end', amount(0), 40)
      .option('--byte-ns <ns>', 'processor time of a byte at each end: encryption, checksums', amount(0), 1.5)
      .option('--update-gbs <rate>', 'GB/s of parameters that a shard updates', amount(1e-6), 1)
      .option('--codec-ns <ns>', 'time per parameter to compress and restore a gradient', amount(0), 3)
      .option(
        '--variation <share>',
        'standard deviation of computing times, as a share of the mean',
        amount(0, 10),
        0.1,
      )
      .option('--slow-share <share>', 'steps that meet a slow moment', amount(0, 1), 0.01)
      .option('--slow-factor <factor>', 'how many times as long those take', amount(1), 3)
      .option('--seed <number>', 'of the simulated stragglers', wholeNumber(0, 2 ** 31), 1),
    (context, options) => {
      const advice = adviseTrain(options);
      context.print({ options: { ...options }, advice }, () =>
        [table(ADVICE_HEADING, advice.map(adviceCells)), ...notes(advice)].join('\n'),
      );
      return Promise.resolve();
    },
  );
}

function notes(advice: readonly Advice[]): string[] {
  return advice.some(({ chosen }) => !chosen.isExact)
    ? [
        'Speed alone is predicted: an inexact strategy may need more steps for the same quality (lookalike bench train).',
      ]
    : [];
}
