import type { Artifact, ArtifactStore } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { TuningSummary } from './publish-tuning.ts';

/** A finished search as its artefact tells it. */
export interface FoundTuning extends TuningSummary {
  tuning: string;
}

/**
 * A search's result by its artefact, or the newest of a catalogue.
 * @throws LookalikeError `notFound` | `invalidInput` for an artefact of another kind or catalogue
 */
export async function findTuning(
  artifacts: Pick<ArtifactStore, 'get' | 'list'>,
  catalogue: string,
  id?: string,
): Promise<FoundTuning> {
  if (id === undefined) {
    const newest = (await artifacts.list('tuning')).find((one) => summaryOf(one).catalogue === catalogue);
    if (newest !== undefined) return { ...summaryOf(newest), tuning: newest.id };
    throw new LookalikeError(
      'notFound',
      `Expected a search for catalogue "${catalogue}", found none. Run one: lookalike tune --space FILE.`,
    );
  }
  const artifact = await artifacts.get(id);
  if (artifact.manifest.kind !== 'tuning') {
    throw new LookalikeError('invalidInput', `Expected a search (tuning-…), got ${id}, a ${artifact.manifest.kind}.`);
  }
  return { ...summaryOf(artifact), tuning: id };
}

function summaryOf({ manifest }: Artifact): TuningSummary {
  return manifest.summary as unknown as TuningSummary;
}
