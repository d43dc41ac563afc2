import type { ArtifactStore } from '../../contracts/artifacts.ts';
import type { CalibrationResult } from '../../contracts/calibration.ts';
import type { IndexSummary } from '../shards/publish-index.ts';

export { probabilityOf } from '../../lib/eval/calibration.ts';

/** What the scores of an index mean. @throws LookalikeError `notFound` | `unavailable` */
export type Calibrations = (index: string) => Promise<CalibrationResult>;

/** Indices that are remembered: those that serve, of some catalogues. */
const MAX_HELD = 100;
const NOT_BUILT: CalibrationResult = {
  calibration: null,
  reason:
    'Expected an index whose scores were calibrated, but it was built before that was done. Run `lookalike retrain`.',
};

/** Reads each index's calibration once. */
export function createCalibrations(artifacts: Pick<ArtifactStore, 'get'>): Calibrations {
  const held = new Map<string, Promise<CalibrationResult>>();
  return (index) => {
    let reading = held.get(index);
    if (reading === undefined) {
      reading = artifacts
        .get(index)
        .then(({ manifest }) => (manifest.summary as unknown as IndexSummary).calibration ?? NOT_BUILT);
      if (held.size >= MAX_HELD) held.delete(held.keys().next().value!);
      held.set(index, reading);
      reading.catch(() => held.delete(index));
    }
    return reading;
  };
}
