import { LookalikeError } from '../../contracts/errors.ts';
import { simulateParameterServer } from './parameter-server.ts';
import { simulateRing } from './ring.ts';
import type { Prediction, Scenario } from './setup.ts';

/**
 * Predicts a data-parallel run on a cluster that is not there, from figures measured on one that is. Deterministic for a seed. It
 * knows throughput only: what staleness or compression cost in steps to a wanted quality has to be measured.
 * @throws LookalikeError `invalidInput` for a scenario that cannot be run
 */
export function simulate(scenario: Scenario): Prediction {
  const { workload, cluster, strategy, numSteps } = scenario;
  const positive: [string, number][] = [
    ['numParameters', workload.numParameters],
    ['computeSeconds', workload.computeSeconds],
    ['replicas', cluster.replicas],
    ['bitsPerSecond', cluster.bitsPerSecond],
    ['updateBytesPerSecond', cluster.updateBytesPerSecond],
    ['numSteps', numSteps],
  ];
  for (const [name, value] of positive) {
    if (value > 0 && Number.isFinite(value)) continue;
    throw new LookalikeError('invalidInput', `Expected \`${name}\` to be a positive number, got ${value}.`);
  }
  if (strategy.mode.kind === 'sync' && strategy.mode.backups >= cluster.replicas) {
    const message = `Expected fewer backups than the ${cluster.replicas} replicas, got ${strategy.mode.backups}.`;
    throw new LookalikeError('invalidInput', message);
  }
  return strategy.exchange.kind === 'allReduce' ? simulateRing(scenario) : simulateParameterServer(scenario);
}
