import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Artifact, ArtifactStore } from '../../contracts/artifacts.ts';
import type { VariantFiles } from '../../lib/export/variant-files.ts';

/** Its name to an embedder: a variant that is judged is no artefact yet. */
export const CANDIDATE = 'candidate';

/** The store with one more model in it, whose files lie in a folder of their own until it is disposed of. */
export async function createCandidate(
  artifacts: Pick<ArtifactStore, 'get' | 'materialise'>,
  model: Artifact,
  files: VariantFiles,
): Promise<{ artifacts: Pick<ArtifactStore, 'get' | 'materialise'> } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-variant-'));
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes as Uint8Array);
  return {
    artifacts: {
      get: (id) => (id === CANDIDATE ? Promise.resolve({ ...model, id }) : artifacts.get(id)),
      materialise: (id, file) =>
        id === CANDIDATE ? Promise.resolve(join(folder, file)) : artifacts.materialise(id, file),
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
