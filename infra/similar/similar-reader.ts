import type { ArtifactStore } from '../../contracts/artifacts.ts';
import type { SimilarList, SimilarSummary } from '../../contracts/similar.ts';
import { openSimilarFile, SIMILAR_FILE } from './similar-file.ts';
import type { SimilarFile } from './similar-file.ts';

/** Looks lists up in `similarItems` artefacts, each brought to this machine once. */
export interface SimilarReader {
  /** Undefined when the artefact holds no such item. @throws LookalikeError `notFound` | `corruptArtifact` */
  lookup(artifact: string, id: string): Promise<SimilarList | undefined>;
  close(): Promise<void>;
}

/** The artefacts of a switch overlap for a while; more than a few in turn are many catalogues. */
const MAX_OPEN = 16;

export function createSimilarReader({ artifacts }: { artifacts: ArtifactStore }): SimilarReader {
  const files = new Map<string, Promise<SimilarFile>>();

  function open(artifact: string): Promise<SimilarFile> {
    const opened = files.get(artifact) ?? openArtifact(artifact);
    // The newest stands last; what failed to open is tried again.
    files.delete(artifact);
    files.set(artifact, opened);
    opened.catch(() => files.delete(artifact));
    for (const oldest of files.keys()) {
      if (files.size <= MAX_OPEN) break;
      // One that fails to open is told to whoever asked for it, and leaves nothing to close.
      void files
        .get(oldest)!
        .then((file) => file.close())
        .catch(() => undefined);
      files.delete(oldest);
    }
    return opened;
  }

  async function openArtifact(artifact: string): Promise<SimilarFile> {
    const { manifest } = await artifacts.get(artifact);
    const path = await artifacts.materialise(artifact, SIMILAR_FILE);
    return openSimilarFile(path, manifest.summary as unknown as SimilarSummary);
  }

  return {
    lookup: async (artifact, id) => (await open(artifact)).lookup(id),
    async close() {
      const opened = await Promise.allSettled(files.values());
      files.clear();
      for (const file of opened) if (file.status === 'fulfilled') file.value.close();
    },
  };
}
