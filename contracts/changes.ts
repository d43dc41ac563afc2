import type { CatalogueItem } from './catalogue.ts';
import type { JsonObject } from './json.ts';

/** An item to be written. `image: null` keeps the picture that it has. */
export type PutItem = Omit<CatalogueItem, 'image'> & { image: string | null };
export type ItemWrite = { put: PutItem } | { delete: string };

/** What one write came to. `absent`: nothing was there to delete; `noPicture`: a new item without one, not taken. */
export const WRITE_OUTCOMES = ['added', 'changed', 'unchanged', 'deleted', 'absent', 'noPicture'] as const;
export type WriteOutcome = (typeof WRITE_OUTCOMES)[number];

export interface Written {
  /** One for each write, in order. */
  outcomes: WriteOutcome[];
  /** The catalogue's newest sequence number after the writes: once it is searchable, so are they. */
  seq: number;
}

/** Names one request, so that its repetition is answered as it was and writes nothing. */
export interface RequestKey {
  key: string;
  /** SHA-256 of what was asked: a key that comes again with something else is refused. */
  request: string;
}

/**
 * The latest change of one item. Every write of an item takes the next sequence number of its catalogue, in the order of commits; an
 * item that changes again moves to its newest number, so that all changes after a number are what differs from the catalogue then.
 */
export type CatalogueChange =
  | {
      kind: 'put';
      seq: number;
      id: string;
      image: string;
      /** When the item last got another picture. */
      imageSeq: number;
      category: string | null;
      attributes: JsonObject;
    }
  | { kind: 'delete'; seq: number; id: string };

/** What keeps the changes since a generation's snapshot searchable: its model makes their vectors. */
export interface DeltaTarget {
  catalogue: string;
  model: string;
  /** The snapshot's sequence number. */
  sinceSeq: number;
}

/** A picture's vector by a model; `null`: the picture cannot be used, for the reason. */
export type PictureVector = { image: string } & ({ vector: Float32Array } | { vector: null; reason: string });

/** How far the changes since its snapshot have come in one replica of a shard, or in all that answer. */
export interface DeltaStatus {
  /** All changes up to this number are searched. */
  searchableSeq: number;
  /** Items whose new picture has no vector yet. */
  numWaiting: number;
  /** Items that are not as the index has them. */
  numRows: number;
}
