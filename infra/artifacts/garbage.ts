import { LookalikeError } from '../../contracts/errors.ts';
import { readSnapshot } from '../snapshot/read-snapshot.ts';
import type { Stores } from '../stores.ts';
import { BLOBS, blobKey, DERIVATIONS, isArtifactId, manifestKey, MANIFESTS } from './keys.ts';

export interface GarbageOptions {
  /** Artefacts to keep besides those the registry refers to. */
  roots?: readonly string[];
  /**
   * Nothing younger is touched: somebody may have published it and not yet said what for.
   * @default DEFAULT_GRACE_MS
   */
  graceMs?: number;
  /** Retired generations of each catalogue that stay whole for a rollback: those that served last. @default NUM_ROLLBACKS */
  numRollbacks?: number;
  /** Milliseconds since 1970, by the store's clock. */
  now: number;
  /** Only say what would go. */
  dryRun?: boolean;
}

export interface GarbageReport {
  artifacts: string[];
  numBlobs: number;
  blobBytes: number;
  numDerivations: number;
  /** Leftovers of writers that died. */
  numDrafts: number;
}

/** Longer than any run: what a run makes along the way is reachable only once its generation names the result. */
export const DEFAULT_GRACE_MS = 7 * 24 * 3_600_000;
/** Shorter graces are refused: they would take the files of a publish in progress. */
const MIN_GRACE_MS = 60_000;

/**
 * Removes what nobody can reach: artefacts that no checkpoint, given root, reachable artefact or generation leads to (failed,
 * rejected, long retired and abandoned ones do not count), and blobs that no kept artefact, kept snapshot, live item or example names. Manifests go
 * before blobs, so what can still be named stays whole, and each blob's age is looked at once more just before it goes.
 *
 * @throws LookalikeError `corruptArtifact` without having removed anything, when it cannot see what is reachable
 */
export async function collectGarbage(stores: Stores, options: GarbageOptions): Promise<GarbageReport> {
  const graceMs = options.graceMs ?? DEFAULT_GRACE_MS;
  if (graceMs < MIN_GRACE_MS) {
    throw new LookalikeError('invalidInput', `Expected a grace of at least ${MIN_GRACE_MS} ms, got ${graceMs}.`);
  }
  const { objects } = stores;
  const before = new Date(options.now - graceMs);
  const derivations = await readDerivations(stores);
  const young = await youngArtifacts(stores, derivations, before);
  const kept = await reachable(stores, [
    ...(await stores.registry.artifactsInUse(before, options.numRollbacks)),
    ...(options.roots ?? []),
    ...young,
  ]);

  const report: GarbageReport = { artifacts: [], numBlobs: 0, blobBytes: 0, numDerivations: 0, numDrafts: 0 };
  for (const { key, id, storedAt } of derivations) {
    if (kept.artifacts.has(id) || storedAt >= before) continue;
    report.numDerivations++;
    if (!options.dryRun) await objects.delete(key);
  }
  for await (const { key } of objects.list(MANIFESTS)) {
    const id = idOf(key);
    if (kept.artifacts.has(id) || !isArtifactId(id) || !(await isOlder(stores, key, before))) continue;
    report.artifacts.push(id);
    if (!options.dryRun) await objects.delete(key);
  }
  for await (const { key, sizeBytes, storedAt } of objects.list(BLOBS)) {
    if (storedAt >= before || kept.blobs.has(key) || !(await isOlder(stores, key, before))) continue;
    report.numBlobs++;
    report.blobBytes += sizeBytes;
    if (!options.dryRun) await objects.delete(key);
  }
  if (!options.dryRun) report.numDrafts = await objects.sweep(before);
  return { ...report, artifacts: report.artifacts.sort() };
}

interface DerivationEntry {
  key: string;
  id: string;
  storedAt: Date;
}

async function readDerivations({ objects }: Stores): Promise<DerivationEntry[]> {
  const entries: DerivationEntry[] = [];
  for await (const { key, storedAt } of objects.list(DERIVATIONS)) {
    const id = (await objects.get(key))?.toString('utf8');
    if (id !== undefined) entries.push({ key, id, storedAt });
  }
  return entries;
}

/** Artefacts that were published, or found again, within the grace period. */
async function youngArtifacts({ objects }: Stores, derivations: DerivationEntry[], before: Date): Promise<string[]> {
  const young = derivations.filter(({ storedAt }) => storedAt >= before).map(({ id }) => id);
  for await (const { key, storedAt } of objects.list(MANIFESTS)) if (storedAt >= before) young.push(idOf(key));
  return young;
}

/** Everything the given artefacts lead to through `inputs`, and all blobs that those and the live catalogues name. */
async function reachable(stores: Stores, roots: string[]): Promise<{ artifacts: Set<string>; blobs: Set<string> }> {
  const artifacts = new Set<string>();
  const blobs = new Set<string>();
  const waiting = roots.filter(isArtifactId);
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    if (artifacts.has(id)) continue;
    artifacts.add(id);
    // A name without an artefact (collected earlier, or another store's) keeps nothing.
    if ((await stores.objects.head(manifestKey(id))) === undefined) continue;
    const { manifest } = await stores.artifacts.get(id);
    for (const { sha256 } of Object.values(manifest.files)) blobs.add(blobKey(sha256));
    for (const input of Object.values(manifest.inputs)) {
      if (isArtifactId(input)) waiting.push(input);
      else if (/^sha256:[0-9a-f]{64}$/.test(input)) blobs.add(blobKey(input.slice('sha256:'.length)));
    }
    if (manifest.kind === 'snapshot') await addImages(stores, id, blobs);
  }
  for await (const image of stores.registry.imagesInUse()) if (/^[0-9a-f]{64}$/.test(image)) blobs.add(blobKey(image));
  return { artifacts, blobs };
}

/** Pictures of a kept snapshot stay, even where the catalogue has moved on: its generation may be embedded again. */
async function addImages(stores: Stores, id: string, blobs: Set<string>): Promise<void> {
  for await (const { image } of readSnapshot(stores, id)) blobs.add(blobKey(image));
}

async function isOlder({ objects }: Stores, key: string, before: Date): Promise<boolean> {
  const now = await objects.head(key);
  return now !== undefined && now.storedAt < before;
}

function idOf(key: string): string {
  return key.slice(MANIFESTS.length, -'.json'.length);
}
