import type { AnnIndex, AnnMachine, IndexSpec, Neighbours, SearchEffort, ShardSummary } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { AttributeFilter } from '../../contracts/filters.ts';
import { loadIndex } from '../../lib/ann/index.ts';
import type { ScoredId } from '../../lib/ann/merge.ts';
import { readLarge } from './files.ts';
import { RowFilters } from './row-filters.ts';
import type { RowLabels } from './row-filters.ts';
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
  /** What the rows are filtered by. */
  readonly filters: RowFilters;
  /** What the index is asked, so that its scores can be merged with others'. */
  effortFor(effort: Pick<ShardQuery, keyof SearchEffort | 'exactScores'>): SearchEffort;
  /** Best first. @throws LookalikeError `invalidInput` | `dimensionMismatch` | `nonFinite` | `cancelled` */
  search(query: ShardQuery): { hits: ScoredId[]; plan: Neighbours['plan'] };
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
export interface ShardRow extends RowLabels {
  id: string;
}

/** Rows parsed between two pauses, so that a host that loads a shard keeps answering for the others. */
const PARSE_ROWS = 5000;

/** @throws LookalikeError `corruptArtifact` when bytes are damaged or the files do not belong together */
export async function openShard(
  { artifact, summary, indexPath, rowsPath }: ShardFiles,
  machine: AnnMachine = {},
): Promise<Shard> {
  const index = await loadIndex(await readLarge(indexPath), machine);
  const { ids, filters } = await readRows(rowsPath);
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
  return {
    artifact,
    summary,
    ids,
    get categories() {
      return filters.categories;
    },
    index,
    filters,
    effortFor,
    search({ vector, category, filter, ...options }) {
      const how = { ...options, ...comparable(index.spec, options), allowed: filters.select(category, filter) };
      const { rows, scores, plan } = index.search(vector, how);
      return { hits: Array.from(rows, (row, i) => ({ id: ids[row]!, score: scores[i]! })), plan };
    },
    searchBatch: (queries, { category, filter, ...options }) =>
      index.searchBatch(queries, {
        ...{ ...options, ...comparable(index.spec, options) },
        allowed: filters.select(category, filter),
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

async function readRows(path: string): Promise<{ ids: string[]; filters: RowFilters }> {
  const lines = Buffer.from(await readLarge(path))
    .toString('utf8')
    .split('\n');
  if (lines.at(-1) === '') lines.pop();
  const ids: string[] = [];
  const filters = new RowFilters(lines.length);
  for (const [row, line] of lines.entries()) {
    if (row % PARSE_ROWS === PARSE_ROWS - 1) await new Promise((resume) => setImmediate(resume));
    const parsed = parseRow(line, path, row);
    ids.push(parsed.id);
    filters.add(parsed);
  }
  return { ids, filters };
}

function parseRow(line: string, path: string, row: number): ShardRow {
  try {
    return JSON.parse(line) as ShardRow;
  } catch (error) {
    const message = `Expected line ${row + 1} of ${path} to be JSON, and it is not.`;
    throw new LookalikeError('corruptArtifact', message, {}, { cause: error });
  }
}
