import type { TuneConfig } from '../../contracts/tuning.ts';
import { spaceProblems } from './space-problems.ts';

/** What may change while a training goes on from a checkpoint: neither the shape of the model nor how many steps an epoch has. */
const CHANGEABLE = [
  'train.optimizer.learningRate',
  'train.optimizer.weightDecay',
  'train.optimizer.momentum',
  'train.featureDropout',
];

/** Everything that makes a search contradictory, each as one sentence: its space, and how it is searched and scheduled. */
export function tuneProblems(config: TuneConfig): string[] {
  const { space, search, scheduler, base, numTrials, concurrency } = config;
  const { epochs } = base.train;
  const problems = spaceProblems(space, search);
  if (!(numTrials >= 1)) problems.push(`Expected at least one trial, got ${numTrials}.`);
  if (!(concurrency >= 1)) problems.push(`Expected a concurrency of at least 1, got ${concurrency}.`);
  if (Object.hasOwn(space, 'train.epochs')) {
    problems.push(
      'train.epochs: how long a trial is trained is what the scheduler decides, up to the epochs of the base.',
    );
  }
  if (search.kind === 'grid' && !(search.points >= 1)) {
    problems.push(`search.points: expected at least 1, got ${search.points}.`);
  }
  if (search.kind === 'tpe' && !(search.gamma > 0 && search.gamma < 1)) {
    problems.push(`search.gamma: expected a share between 0 and 1, got ${search.gamma}.`);
  }
  if (search.kind === 'tpe' && search.startup >= numTrials && numTrials >= 1) {
    problems.push(
      `search.startup: all ${numTrials} trials would be random, as ${search.startup} random ones come first.`,
    );
  }
  if ((scheduler.kind === 'asha' || scheduler.kind === 'hyperband') && !(scheduler.eta >= 2)) {
    problems.push(`scheduler.eta: expected at least 2, or rungs would not shrink; got ${scheduler.eta}.`);
  }
  if (scheduler.kind === 'asha' && !(scheduler.minEpochs >= 1 && scheduler.minEpochs < epochs)) {
    problems.push(
      `scheduler.minEpochs: expected at least 1 and less than the ${epochs} epochs of the base, got ${scheduler.minEpochs}.`,
    );
  }
  if (scheduler.kind === 'hyperband' && scheduler.eta > epochs) {
    problems.push(
      `scheduler.eta: expected at most the ${epochs} epochs of the base, or there is no rung; got ${scheduler.eta}.`,
    );
  }
  if (scheduler.kind === 'medianStop' && !(scheduler.grace >= 1 && scheduler.grace < epochs)) {
    problems.push(
      `scheduler.grace: expected at least 1 and less than the ${epochs} epochs of the base, got ${scheduler.grace}.`,
    );
  }
  if ((scheduler.kind === 'medianStop' || scheduler.kind === 'pbt') && !(scheduler.every >= 1)) {
    problems.push(`scheduler.every: expected at least 1 epoch, got ${scheduler.every}.`);
  }
  if (scheduler.kind === 'pbt') problems.push(...populationProblems(config, scheduler));
  return problems;
}

function populationProblems(
  { space, base, numTrials }: TuneConfig,
  { every, quantile }: { every: number; quantile: number },
): string[] {
  const problems: string[] = [];
  if (!(quantile > 0 && quantile <= 0.5)) {
    problems.push(`scheduler.quantile: expected more than 0 and at most 0.5, got ${quantile}.`);
  }
  if (every >= base.train.epochs) {
    problems.push(`scheduler.every: expected less than the ${base.train.epochs} epochs of the base, got ${every}.`);
  }
  if (numTrials < 2) problems.push('numTrials: a population needs at least 2.');
  for (const path of Object.keys(space).filter((one) => !CHANGEABLE.includes(one))) {
    problems.push(
      `${path}: cannot change while a training goes on, as pbt would; it can vary ${CHANGEABLE.join(', ')}.`,
    );
  }
  return problems;
}
