import type { FileSource } from '../../contracts/artifacts.ts';

export interface ObjectInfo {
  key: string;
  sizeBytes: number;
  /** When the store last took (or was asked to refresh) the object; the store's clock. */
  storedAt: Date;
}

/** What a put must amount to: the store compares while writing, so a source that changes midway is refused. */
export interface Expected {
  sha256: string;
  sizeBytes: number;
}

/**
 * The whole surface that an artefact store needs of a folder or a bucket. Keys are slash-separated; an object is there as a
 * whole or not at all, and is never changed.
 */
export interface ObjectStore {
  /** For messages: where this store is. */
  readonly location: string;
  /** Stores unless the key is taken. @returns whether this call stored it. @throws LookalikeError `corruptArtifact` */
  putIfAbsent(key: string, source: FileSource, expected: Expected): Promise<boolean>;
  /** Makes the object young again, so that garbage collection leaves it alone for another grace period. */
  refresh(key: string): Promise<void>;
  get(key: string): Promise<Buffer | undefined>;
  head(key: string): Promise<ObjectInfo | undefined>;
  /** Keys that start with `prefix`, in no promised order. */
  list(prefix: string): AsyncIterable<ObjectInfo>;
  delete(key: string): Promise<void>;
  /** A local file with the object's bytes, not yet verified. */
  localFile(key: string): Promise<string | undefined>;
  /** Drops a local copy that proved damaged. @returns whether a fresh one can be had by asking again */
  dropLocalFile(key: string): Promise<boolean>;
  /** Removes leftovers of writers that died, older than `before`. @returns their number */
  sweep(before: Date): Promise<number>;
  close(): void;
}
