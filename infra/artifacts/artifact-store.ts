import type { Artifact, ArtifactDraft, ArtifactFile, ArtifactStore, Derivation } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { putBlob } from './blob-store.ts';
import { CODE_VERSION } from './code-version.ts';
import { blobKey, derivationKey, isArtifactId, manifestKey, MANIFESTS } from './keys.ts';
import { decodeManifest, encodeManifest } from './manifest.ts';
import type { ObjectStore } from './object-store.ts';
import { sha256Hex } from './sha256.ts';
import { createVerifiedFiles } from './verified-files.ts';

/**
 * Artefacts over any object store. Order is the invariant: files, then the manifest that names them, then the derivation that
 * finds it; a process killed anywhere leaves nothing or a whole artefact.
 */
export function createArtifactStore(objects: ObjectStore, codeVersion: string = CODE_VERSION): ArtifactStore {
  const files = createVerifiedFiles(objects);

  async function load(id: string): Promise<Artifact | undefined> {
    const key = manifestKey(id);
    const text = await objects.get(key);
    return text && decodeManifest(id, text, `${objects.location}/${key}`);
  }

  async function get(id: string): Promise<Artifact> {
    const artifact = await load(id);
    if (artifact === undefined) {
      throw new LookalikeError('notFound', `Expected the artefact ${id} in ${objects.location}, but it is not there.`);
    }
    return artifact;
  }

  async function isWhole(artifact: Artifact): Promise<boolean> {
    for (const file of Object.values(artifact.manifest.files)) {
      if ((await objects.head(blobKey(file.sha256)))?.sizeBytes !== file.sizeBytes) return false;
    }
    return true;
  }

  return {
    get,

    async publish(draft) {
      const files = await putFiles(objects, draft);
      const { kind, inputs, config, seed, summary, metrics } = draft;
      const manifest = { formatVersion: 1, codeVersion, kind, inputs, config, seed, summary, metrics, files } as const;
      const { id, text } = encodeManifest(manifest);
      await putText(objects, manifestKey(id), text);
      const key = derivationKey(draft, codeVersion);
      if (!(await putText(objects, key, id))) await objects.refresh(key);
      const artifact = await get(id);
      // A collector that judged an old, unused blob just before it was refreshed may have removed it: put it back.
      if (!(await isWhole(artifact))) await putFiles(objects, draft);
      return artifact;
    },

    async find(derivation: Derivation) {
      const key = derivationKey(derivation, codeVersion);
      const id = (await objects.get(key))?.toString('utf8');
      if (id === undefined) return undefined;
      const artifact = isArtifactId(id) ? await load(id) : undefined;
      if (artifact === undefined || !(await isWhole(artifact))) {
        // It leads to something lost or damaged: let the work be done again and be found under its new entry.
        await objects.delete(key);
        return undefined;
      }
      // Whoever found it is about to build on it.
      await objects.refresh(key);
      return artifact;
    },

    async materialise(id, name) {
      const { manifest } = await get(id);
      const file = Object.hasOwn(manifest.files, name) ? manifest.files[name] : undefined;
      if (file === undefined) {
        const names = Object.keys(manifest.files).join(', ');
        throw new LookalikeError('notFound', `Expected ${id} to have a file "${name}"; it has ${names || 'none'}.`);
      }
      return files.path(file.sha256, file.sizeBytes, `"${name}" of ${id}`);
    },

    async list(kind) {
      const found: (Artifact & { storedAt: string })[] = [];
      for await (const { key, storedAt } of objects.list(kind ? `${MANIFESTS}${kind}-` : MANIFESTS)) {
        const id = key.slice(MANIFESTS.length, -'.json'.length);
        const artifact = isArtifactId(id) ? await load(id) : undefined;
        if (artifact !== undefined) found.push({ ...artifact, storedAt: storedAt.toISOString() });
      }
      return found.sort((a, b) => b.storedAt.localeCompare(a.storedAt) || (a.id < b.id ? -1 : 1));
    },
  };
}

async function putFiles(objects: ObjectStore, draft: ArtifactDraft): Promise<Record<string, ArtifactFile>> {
  const files: Record<string, ArtifactFile> = {};
  for (const [name, source] of Object.entries(draft.files)) files[name] = await putBlob(objects, source);
  return files;
}

function putText(objects: ObjectStore, key: string, text: string): Promise<boolean> {
  const bytes = Buffer.from(text, 'utf8');
  return objects.putIfAbsent(key, { bytes }, { sha256: sha256Hex(bytes), sizeBytes: bytes.byteLength });
}
