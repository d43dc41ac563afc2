import type { AnnIndex, AnnMachine, IndexSpec, Neighbours, SearchEffort, ShardSummary } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { AttributeFilter } from '../../contracts/filters.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { hasBit } from '../../lib/ann/bitmap.ts';
import { createBitmap, loadIndex, setBit } from '../../lib/ann/index.ts';
import type { ScoredId } from '../../lib/ann/merge.ts';
import { AttributeColumns } from '../../lib/filters/attribute-columns.ts';
import { readLarge } from './files.ts';
import { effortOf } from './search-effort.ts';

export interface ShardQuery extends SearchEffort {
  vector: Float32Array;
  k: number;
  /** Only items of this category, with such attributes. */
  category?: string;
  filter?: AttributeFilter;
  /** Compare with every row, whatever the index kind. */
  exact?: boolean;
  /** Score in full precision even where codes alone would decide. */
  exactScores?: boolean;
  signal?: AbortSignal;
}

/** One searchable part of an index: vectors and the items they belong to. Read-only. */
export interface Shard {
  readonly artifact: string;
  readonly summary: ShardSummary;
  /** Ids in row order (ascending). */
  readonly ids: readonly string[];
  /** The vectors, by row. */
  readonly index: AnnIndex;
  /** The rows of a category with such attributes; undefined: all of them. @throws LookalikeError `conflict` when it holds no attributes */
  allowedBy(filters: Pick<ShardQuery, 'category' | 'filter'>): Uint32Array | undefined;
  /** What the index is asked, so that its scores can be merged with others'. */
  effortFor(effort: Pick<ShardQuery, keyof SearchEffort | 'exactScores'>): SearchEffort;
  /** Best first. @throws LookalikeError `invalidInput` | `dimensionMismatch` | `nonFinite` | `cancelled` */
  search(query: ShardQuery): { hits: ScoredId[]; plan: Neighbours['plan'] };
  /**
   * In the order asked, how many of the rows (absent: of all) have each value of `category` or of an attribute.
   * @throws LookalikeError `conflict` when the shard was built before attributes were kept
   */
  countValues(names: readonly string[], rows: Uint32Array | undefined): [value: string, count: number][][];
  /** Categories in row order. */
  readonly categories: readonly (string | null)[];
  /** Rows nearest to each query (f32 [numQueries, dim]). @throws LookalikeError as `search` */
  searchBatch(queries: Float32Array, options: Omit<ShardQuery, 'vector'>): Promise<Neighbours[]>;
  /** The stored vector of a row. */
  vector(row: number): Float32Array;
  /** Stored vectors by item id; ids that the shard does not hold are left out. */
  vectors(ids: readonly string[]): Map<string, Float32Array>;
}

/** Where a shard's files lie on this machine. */
export interface ShardFiles {
  artifact: string;
  summary: ShardSummary;
  indexPath: string;
  rowsPath: string;
}

/** A row of `rows.jsonl`. */
export interface ShardRow {
  id: string;
  category: string | null;
  /** What may be filtered by; absent where the shard was built before items were. */
  attributes?: JsonObject;
}

/** Rows parsed between two pauses, so that a host that loads a shard keeps answering for the others. */
const PARSE_ROWS = 5000;

/** @throws LookalikeError `corruptArtifact` when bytes are damaged or the files do not belong together */
export async function openShard(
  { artifact, summary, indexPath, rowsPath }: ShardFiles,
  machine: AnnMachine = {},
): Promise<Shard> {
  const index = await loadIndex(await readLarge(indexPath), machine);
  const { ids, categories, rowsByCategory, attributes } = await readRows(rowsPath);
  if (ids.length !== index.size || index.size !== summary.size || index.dim !== summary.dim) {
    throw new LookalikeError(
      'corruptArtifact',
      `Expected shard ${artifact} to hold ${summary.size} x ${summary.dim}, got an index of ${index.size} x ${index.dim} ` +
        `and ${ids.length} rows.`,
    );
  }
  // Made when it is asked for: a host that takes changes knows its rows by itself.
  let rows: Map<string, number> | undefined;
  const rowOf = (id: string): number | undefined => (rows ??= new Map(ids.map((one, row) => [one, row]))).get(id);
  const effortFor: Shard['effortFor'] = (effort) => ({ ...effortOf(effort), ...comparable(index.spec, effort) });
  const keptAttributes = (): AttributeColumns => {
    if (attributes !== undefined) return attributes;
    const message = `Expected shard ${artifact} to hold attributes, but it was built before they were kept. Run \`lookalike retrain\`.`;
    throw new LookalikeError('conflict', message);
  };
  const allowedBy = ({ category, filter }: Pick<ShardQuery, 'category' | 'filter'>): Uint32Array | undefined => {
    const inCategory = category === undefined ? undefined : bitmapOf(rowsByCategory.get(category) ?? [], index);
    if (filter === undefined || Object.keys(filter).length === 0) return inCategory;
    const selected = keptAttributes().select(filter);
    return inCategory === undefined ? selected : selected.map((word, i) => word & inCategory[i]!);
  };
  return {
    artifact,
    summary,
    ids,
    categories,
    index,
    allowedBy,
    effortFor,
    search({ vector, category, filter, ...options }) {
      const how = { ...options, ...comparable(index.spec, options), allowed: allowedBy({ category, filter }) };
      const { rows, scores, plan } = index.search(vector, how);
      return { hits: Array.from(rows, (row, i) => ({ id: ids[row]!, score: scores[i]! })), plan };
    },
    countValues: (names, among) =>
      names.map((name) =>
        name === 'category' ? countCategories(rowsByCategory, among) : keptAttributes().count(name, among),
      ),
    searchBatch: (queries, { category, filter, ...options }) =>
      index.searchBatch(queries, {
        ...{ ...options, ...comparable(index.spec, options) },
        allowed: allowedBy({ category, filter }),
      }),
    vector: (row) => index.vector(row),
    vectors: (wanted) =>
      new Map(
        wanted.flatMap((id) => {
          const row = rowOf(id);
          return row === undefined ? [] : [[id, index.vector(row)] as const];
        }),
      ),
  };
}

/**
 * Shards are merged by score: where a kind's codes score on a scale of their own, unlike from shard to shard and from a scan, the k
 * that they choose are scored in full precision.
 */
function comparable(
  spec: IndexSpec,
  { rescore, exactScores }: Pick<ShardQuery, 'rescore' | 'exactScores'>,
): SearchEffort {
  const isByCodes = spec.kind === 'deepHash' || (exactScores === true && spec.kind === 'ivf');
  return isByCodes ? { rescore: Math.max(1, rescore ?? spec.rescore) } : {};
}

function countCategories(
  rowsByCategory: ReadonlyMap<string, readonly number[]>,
  allowed: Uint32Array | undefined,
): [string, number][] {
  return [...rowsByCategory].map(([category, rows]) => [
    category,
    allowed === undefined ? rows.length : rows.filter((row) => hasBit(allowed, row)).length,
  ]);
}

function bitmapOf(rows: readonly number[], index: AnnIndex): Uint32Array {
  const bitmap = createBitmap(index.size);
  for (const row of rows) setBit(bitmap, row);
  return bitmap;
}

async function readRows(path: string): Promise<{
  ids: string[];
  categories: (string | null)[];
  rowsByCategory: Map<string, number[]>;
  attributes: AttributeColumns | undefined;
}> {
  const lines = Buffer.from(await readLarge(path))
    .toString('utf8')
    .split('\n');
  if (lines.at(-1) === '') lines.pop();
  const ids: string[] = [];
  const categories: (string | null)[] = [];
  const rowsByCategory = new Map<string, number[]>();
  let attributes: AttributeColumns | undefined = new AttributeColumns(lines.length);
  for (const [row, line] of lines.entries()) {
    if (row % PARSE_ROWS === PARSE_ROWS - 1) await new Promise((resume) => setImmediate(resume));
    const { id, category, attributes: own } = parseRow(line, path, row);
    ids.push(id);
    if (own !== undefined) attributes?.set(row, own);
    else attributes = undefined;
    categories.push(category);
    if (category === null) continue;
    const rows = rowsByCategory.get(category);
    if (rows === undefined) rowsByCategory.set(category, [row]);
    else rows.push(row);
  }
  return { ids, categories, rowsByCategory, attributes };
}

function parseRow(line: string, path: string, row: number): ShardRow {
  try {
    return JSON.parse(line) as ShardRow;
  } catch (error) {
    const message = `Expected line ${row + 1} of ${path} to be JSON, and it is not.`;
    throw new LookalikeError('corruptArtifact', message, {}, { cause: error });
  }
}
