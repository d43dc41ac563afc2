import { createHash } from 'node:crypto';
import type { ArtifactStore } from '../../contracts/artifacts.ts';
import { readSnapshot } from '../snapshot/read-snapshot.ts';

/** SHA-256s of distinct pictures, sorted: one per line in `images.txt` and `todo.txt`. */
export type ImageList = readonly string[];

/** The distinct pictures of a snapshot's items and examples. */
export async function snapshotImages(stores: { artifacts: ArtifactStore }, snapshot: string): Promise<ImageList> {
  const images = new Set<string>();
  for await (const row of readSnapshot(stores, snapshot)) images.add(row.image);
  return [...images].sort();
}

export function formatList(images: ImageList): Buffer {
  return Buffer.from(images.map((image) => `${image}\n`).join(''));
}

export function parseList(text: string): string[] {
  return text.split('\n').filter(Boolean);
}

/** Names a list in a derivation: equal pictures give equal embeddings, whatever snapshot or plan asked for them. */
export function listHash(images: ImageList): string {
  return createHash('sha256').update(formatList(images)).digest('hex');
}
