import type { JsonObject } from './json.ts';

/** A product as the catalogue of record holds it. */
export interface CatalogueItem {
  id: string;
  /** SHA-256 of the picture's bytes, held in the blob store. */
  image: string;
  /** What people filter by. */
  category: string | null;
  /** What counts as "the same product" in training and evaluation; the category when none is given. */
  label: string | null;
  title: string | null;
  attributes: JsonObject;
}

/**
 * A picture that people query with, whose right answer is known: a shop photo, a user's upload with the bought item.
 * Examples train and judge models; they are never search results.
 */
export interface Example {
  id: string;
  image: string;
  label: string;
  /** `train` is learnt from; `holdout` only judges. */
  split: 'train' | 'holdout';
}

/** One row as a user writes it, before its picture was read. Paths are relative to the file that holds the row. */
export interface ImportRow {
  id: string;
  /** A path or an http(s) URL. */
  image: string;
  category?: string;
  label?: string;
  title?: string;
  attributes?: JsonObject;
}

/** Why one row was not taken. */
export interface RejectedRow {
  /** 1-based line or record number in the source. */
  row: number;
  id: string | null;
  /** Expectation and reality in one sentence. */
  reason: string;
}

export interface ImportSummary {
  added: number;
  changed: number;
  unchanged: number;
  rejected: RejectedRow[];
}

/** A line of a snapshot's `items.jsonl`. Lines are sorted by role, then id; equal catalogues give equal bytes. */
export type SnapshotRow = ({ role: 'item' } & CatalogueItem) | ({ role: 'example' } & Example);

export interface SnapshotSummary {
  catalogue: string;
  numItems: number;
  numExamples: number;
  numImages: number;
  [key: string]: string | number;
}

/** The label an item counts as: its own, else its category. */
export function labelOf(item: { label: string | null; category: string | null }): string | null {
  return item.label ?? item.category;
}
