import type { ArtifactStore } from '../contracts/artifacts.ts';
import { LookalikeError } from '../contracts/errors.ts';

/**
 * The same stores until the signal aborts; from then on nothing is read or written through them. For work that goes from one
 * artefact to the next and takes no signal itself: a cancel ends it at its next step, and it publishes nothing afterwards.
 */
export function stoppable<S extends { artifacts: ArtifactStore }>(stores: S, signal: AbortSignal): S {
  const { artifacts } = stores;
  const step = async <T>(work: () => Promise<T>): Promise<T> => {
    if (signal.aborted) throw new LookalikeError('cancelled', 'The activity was asked to stop.');
    return work();
  };
  const stopping: ArtifactStore = {
    publish: (draft) => step(() => artifacts.publish(draft)),
    find: (derivation) => step(() => artifacts.find(derivation)),
    get: (id) => step(() => artifacts.get(id)),
    materialise: (id, file) => step(() => artifacts.materialise(id, file)),
    list: (kind) => step(() => artifacts.list(kind)),
  };
  return { ...stores, artifacts: stopping };
}
