import type { ArtifactStore } from '../contracts/artifacts.ts';

/**
 * The same stores, and whether anything was published through them: steps that look for their finished result first publish
 * nothing when they find it.
 */
export function watchPublishing<S extends { artifacts: ArtifactStore }>(stores: S): { stores: S; reused(): boolean } {
  let published = 0;
  const artifacts: ArtifactStore = {
    ...stores.artifacts,
    publish(draft) {
      published += 1;
      return stores.artifacts.publish(draft);
    },
  };
  return { stores: { ...stores, artifacts }, reused: () => published === 0 };
}
