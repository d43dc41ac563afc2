import { ARTIFACT_KINDS } from '../../contracts/artifacts.ts';
import type { ArtifactId, Derivation } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { canonicalJson } from './canonical-json.ts';
import { sha256Hex } from './sha256.ts';

/** How objects are named: blobs by hash, manifests by artefact id, derivations by the hash of what decides the content. */
export const BLOBS = 'blobs/';
export const MANIFESTS = 'manifests/';
export const DERIVATIONS = 'derivations/';

const ID = new RegExp(`^(?:${ARTIFACT_KINDS.join('|')})-[0-9a-f]{32}$`);
const SHA256 = /^[0-9a-f]{64}$/;

export function isArtifactId(text: string): boolean {
  return ID.test(text);
}

/** @throws LookalikeError `notFound`: nothing by another name can be in the store, and no name may lead out of it */
export function blobKey(sha256: string): string {
  if (!SHA256.test(sha256)) {
    throw new LookalikeError('notFound', `Expected a blob named by 64 lower-case hex digits, got "${sha256}".`);
  }
  return `${BLOBS}${sha256.slice(0, 2)}/${sha256}`;
}

/** @throws LookalikeError `notFound` */
export function manifestKey(id: ArtifactId): string {
  if (!isArtifactId(id)) {
    throw new LookalikeError('notFound', `Expected an artefact id like "model-<32 hex digits>", got "${id}".`);
  }
  return `${MANIFESTS}${id}.json`;
}

export function derivationKey(derivation: Derivation, codeVersion: string): string {
  const { kind, inputs, config, seed } = derivation;
  return `${DERIVATIONS}${kind}/${sha256Hex(canonicalJson({ kind, inputs, config, seed, codeVersion }))}`;
}
