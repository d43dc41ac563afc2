import { LookalikeError } from '../../contracts/errors.ts';
import { firstNonFinite } from './finite.ts';
import type { Push, ShardConfig, ShardSeed } from './protocol.ts';

/** @throws LookalikeError `invalidInput` */
export function expectShardConfig({
  range,
  numSlices,
  consistency,
  decayRanges,
  checkpointEverySteps,
}: ShardConfig): void {
  const length = range.end - range.start;
  expectCount('the length of a shard', length, 1);
  expectCount('`numSlices`', numSlices, 1);
  expectCount('`checkpointEverySteps`', checkpointEverySteps, 1);
  if (consistency.kind === 'clocked') {
    expectCount('`staleness`', consistency.staleness, 0);
    expectCount('`backups`', consistency.backups, 0);
    if (consistency.backups >= numSlices) {
      throw invalid(`Expected fewer backups than the ${numSlices} slices, got ${consistency.backups}.`);
    }
  }
  let at = 0;
  for (const { start, end } of decayRanges) {
    if (start < at || end < start || end > length) {
      throw invalid(`Expected ascending decay ranges within 0..${length}, got ${start}..${end} after ${at}.`);
    }
    at = end;
  }
}

/** @throws LookalikeError `dimensionMismatch` | `nonFinite` | `invalidInput` */
export function expectSeed({ step, values, firstMoments, secondMoments }: ShardSeed, length: number): void {
  expectCount('the step of a seed', step, 0);
  for (const [name, array] of Object.entries({ values, firstMoments, secondMoments })) {
    if (array.length !== length) {
      throw new LookalikeError('dimensionMismatch', `Expected ${length} ${name} in a seed, got ${array.length}.`);
    }
    expectFinite(array, `${name} of a seed`);
  }
}

/** @throws LookalikeError as `ParameterShard.push` */
export function expectPush(push: Push, { range, numSlices, consistency }: ShardConfig, present: number): void {
  const { slice, step, version, weight, learningRate, gradient } = push;
  const length = range.end - range.start;
  if (gradient.length !== length) {
    throw new LookalikeError('dimensionMismatch', `Expected a gradient of ${length} values, got ${gradient.length}.`);
  }
  expectCount('the step of a push', step, 0);
  expectCount('the version of a push', version, 0);
  if (!Number.isInteger(slice) || slice < 0 || slice >= numSlices) {
    throw invalid(`Expected a slice from 0 to ${numSlices - 1}, got ${slice}.`);
  }
  if (!(weight > 0 && weight < 2 ** 29)) throw invalid(`Expected a weight above 0 and below 2^29 rows, got ${weight}.`);
  if (!(learningRate >= 0 && Number.isFinite(learningRate))) {
    throw invalid(`Expected a finite learning rate of at least 0, got ${learningRate}.`);
  }
  const newest = consistency.kind === 'clocked' ? present + consistency.staleness : Infinity;
  if (step > newest || version > present) {
    throw new LookalikeError(
      'conflict',
      `Expected a push of step ${newest} at most, computed from version ${present} at most; got step ${step} from version ${version}: ` +
        'it belongs to another incarnation of the run.',
      { step, version, present },
    );
  }
  expectFinite(gradient, `gradient of slice ${slice} at step ${step}`);
}

function expectFinite(array: Float32Array, name: string): void {
  const at = firstNonFinite(array);
  if (at === -1) return;
  throw new LookalikeError(
    'nonFinite',
    `Expected finite values in the ${name}, got ${array[at]} at ${at}; nothing was applied. Lower the learning rate.`,
  );
}

function expectCount(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw invalid(`Expected ${name} to be a whole number of at least ${least}, got ${value}.`);
}

function invalid(message: string): LookalikeError {
  return new LookalikeError('invalidInput', message);
}
