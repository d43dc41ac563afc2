import type { CatalogueItem, Example, ImportSummary, RejectedRow } from '../../contracts/catalogue.ts';
import { isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import type { ItemChange } from '../../contracts/registry.ts';
import { MAX_IMAGE_BYTES } from '../../lib/images/decode.ts';
import { inspectImage } from '../../lib/images/inspect.ts';
import { sha256Hex } from '../artifacts/sha256.ts';
import type { Config } from '../config/env.ts';
import { checkCatalogue } from '../registry/text.ts';
import type { Stores } from '../stores.ts';
import { mapBounded } from './map-bounded.ts';
import { loadPicture } from './load-picture.ts';
import { idOf, parseRow } from './row.ts';
import type { ParsedRow } from './row.ts';
import type { SourceRow } from './source-row.ts';
import { openSource } from './source.ts';

/** Rows looked up and written together. */
const BATCH = 256;
/** Pictures read, decoded and stored at once: enough to keep the disk and the cores busy, and memory small. */
const CONCURRENCY = 8;

export interface ImportProgress {
  done: number;
  /** Null where the source does not say. */
  total: number | null;
  rowsPerSecond: number;
}

export interface ImportOptions {
  /** A folder of pictures (or of folders: the categories), a .csv, .jsonl or .parquet file. */
  source: string;
  catalogue: string;
  as: 'items' | { examples: Example['split'] };
  stores: Pick<Stores, 'blobs' | 'registry'>;
  config: Pick<Config, 'imageHosts'>;
  signal?: AbortSignal;
  onProgress?: (progress: ImportProgress) => void;
  /** Each bad row, as soon as it is found. */
  onRejected?: (row: RejectedRow) => void;
}

/**
 * Takes the rows of a source into the catalogue. Bad rows are reported one by one and never stop the good ones. Running it
 * again carries on where it was cut off: rows that are there already are left as they are.
 *
 * @throws LookalikeError `notFound` | `invalidInput` for the source as a whole, `unavailable` for the stores, `cancelled`
 */
export async function importCatalogue(options: ImportOptions): Promise<ImportSummary> {
  checkCatalogue(options.catalogue);
  const source = await openSource(options.source);
  const summary: ImportSummary = { added: 0, changed: 0, unchanged: 0, rejected: [] };
  const rowOfId = new Map<string, number>();
  const startedAt = performance.now();
  let done = 0;

  const reject = (row: RejectedRow): void => {
    summary.rejected.push(row);
    options.onRejected?.(row);
    step();
  };
  const step = (): void => {
    done++;
    const seconds = (performance.now() - startedAt) / 1_000;
    options.onProgress?.({ done, total: source.total, rowsPerSecond: seconds > 0 ? done / seconds : 0 });
  };
  const flush = async (batch: NumberedRow[]): Promise<void> => {
    const known = await knownImages(options, batch);
    const results = await mapBounded(batch, CONCURRENCY, async (numbered) => {
      checkCancelled(options.signal);
      return { ...numbered, picture: await storePicture(numbered.row, known, source.folder, options) };
    });
    const taken = results.filter((result) => 'sha256' in result.picture);
    for (const { number, row, picture } of results) {
      if ('reason' in picture) reject({ row: number, id: row.id, reason: picture.reason });
    }
    const rows = taken.map(({ row, picture }) => ({ row, image: 'sha256' in picture ? picture.sha256 : '' }));
    for (const change of await upsert(options, rows)) {
      summary[change]++;
      step();
    }
  };

  let batch: NumberedRow[] = [];
  for await (const sourceRow of source.rows) {
    checkCancelled(options.signal);
    const read = readRow(sourceRow, rowOfId, options.as);
    if ('reason' in read) {
      reject(read);
      continue;
    }
    rowOfId.set(read.row.id, read.number);
    batch.push(read);
    if (batch.length < BATCH) continue;
    await flush(batch);
    batch = [];
  }
  await flush(batch);
  return summary;
}

interface NumberedRow {
  number: number;
  row: ParsedRow;
}

function readRow(
  source: SourceRow,
  rowOfId: ReadonlyMap<string, number>,
  as: ImportOptions['as'],
): NumberedRow | RejectedRow {
  const number = source.row;
  if ('unreadable' in source) return { row: number, id: null, reason: source.unreadable };
  const row = parseRow(source.value);
  if ('reason' in row) return { row: number, id: idOf(source.value), reason: row.reason };
  const earlier = rowOfId.get(row.id);
  if (earlier !== undefined) {
    return {
      row: number,
      id: row.id,
      reason: `Expected each id once, got it before in row ${earlier}, which was kept.`,
    };
  }
  if (as !== 'items' && (row.label ?? row.category) === undefined) {
    return { row: number, id: row.id, reason: 'Expected an example to have a label or a category, got neither.' };
  }
  return { number, row };
}

/** Pictures of this batch that the catalogue refers to already: they were decoded when they came in. */
async function knownImages({ as, stores, catalogue }: ImportOptions, batch: NumberedRow[]): Promise<Set<string>> {
  if (as !== 'items' || batch.length === 0) return new Set();
  const ids = batch.map(({ row }) => row.id);
  return new Set((await stores.registry.catalogue.getItems(catalogue, ids)).map((item) => item.image));
}

/** The picture's hash, or why it was not taken. A store that fails is no fault of the row and ends the import. */
async function storePicture(
  row: ParsedRow,
  known: ReadonlySet<string>,
  folder: string,
  { config, stores, signal }: ImportOptions,
): Promise<{ sha256: string } | { reason: string }> {
  let bytes: Buffer;
  try {
    const rules = { folder, imageHosts: config.imageHosts, maxBytes: MAX_IMAGE_BYTES, signal };
    bytes = await loadPicture(row.image, rules);
    if (!known.has(sha256Hex(bytes))) await inspectImage(bytes);
  } catch (error) {
    if (!isLookalikeError(error) || error.code === 'cancelled') throw error;
    return { reason: error.message };
  }
  return { sha256: await stores.blobs.put(bytes) };
}

function upsert(
  { as, stores, catalogue }: ImportOptions,
  rows: { row: ParsedRow; image: string }[],
): Promise<ItemChange[]> {
  if (as !== 'items') {
    const split = as.examples;
    const examples = rows.map(({ row, image }): Example => ({
      id: row.id,
      image,
      label: row.label ?? row.category ?? '',
      split,
    }));
    return stores.registry.catalogue.upsertExamples(catalogue, examples);
  }
  const items = rows.map(({ row, image }): CatalogueItem => ({
    id: row.id,
    image,
    category: row.category ?? null,
    label: row.label ?? null,
    title: row.title ?? null,
    attributes: row.attributes,
  }));
  return stores.registry.catalogue.upsertItems(catalogue, items);
}

function checkCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new LookalikeError('cancelled', 'The import was cancelled; running it again carries on where it was.');
  }
}
