/** A row as it stands in the source, or why it could not even be read. */
export type SourceRow = { row: number; value: unknown } | { row: number; unreadable: string };

export interface Source {
  rows: AsyncIterable<SourceRow>;
  /** Number of rows where it is known beforehand. */
  total: number | null;
  /** What relative image paths are relative to. */
  folder: string;
}

/** Longest row in bytes of text: a title and attributes, never a picture. */
export const MAX_ROW_BYTES = 1 << 20;
