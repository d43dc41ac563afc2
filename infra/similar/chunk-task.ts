import { writeFile } from 'node:fs/promises';
import type { AnnMachine } from '../../contracts/ann.ts';
import { withProducts, withThreads } from '../ann/with-threads.ts';
import { answerTask } from '../shards/answer-task.ts';
import { openShard } from '../shards/shard.ts';
import type { Shard, ShardFiles } from '../shards/shard.ts';
import type { SimilarChunk } from './chunks.ts';
import { encodeNeighbours } from './neighbour-file.ts';
import type { Neighbour } from './neighbour-file.ts';

/** Input of the process that finds one chunk's neighbours; paths are local and verified. */
export interface ChunkTaskInput {
  shards: ShardFiles[];
  chunk: SimilarChunk;
  k: number;
  withinCategory: boolean;
  exact: boolean;
  outPath: string;
}

/** Queries of one batch: enough for a blocked product, few enough that progress is told often. */
const BATCH = 1_024;

await answerTask<ChunkTaskInput, { numItems: number }>(async (input, onProgress) => {
  const { shards, chunk, k } = input;
  const numRows = shards.reduce((sum, { summary }) => sum + summary.size, 0);
  // Products serve batches over exact indices; no other kind would use them.
  const lend = shards[0]!.summary.spec.kind === 'exact' ? withProducts : withThreads;
  const lists = await lend(numRows, (machine) => neighboursOf(input, machine, onProgress));
  await writeFile(input.outPath, encodeNeighbours(lists, k));
  return { numItems: chunk.to - chunk.from };
});

async function neighboursOf(
  { shards, chunk, k, withinCategory, exact }: ChunkTaskInput,
  machine: AnnMachine,
  onProgress: (done: number, total: number) => void,
): Promise<Neighbour[][]> {
  const home = await openShard(shards[chunk.shard]!, machine);
  const queries = queriesOf(home, chunk, withinCategory);
  const numItems = chunk.to - chunk.from;
  const homeOffset = offsetOf(shards, chunk.shard);
  const lists: Neighbour[][] = Array.from({ length: numItems }, () => []);
  let done = 0;
  // One shard in memory beside the home shard, whatever the index's size.
  for (const [i, files] of shards.entries()) {
    const shard = i === chunk.shard ? home : await openShard(files, machine);
    const offset = offsetOf(shards, i);
    for (const { category, items, vectors } of queries) {
      const found = await shard.searchBatch(vectors, { k: k + 1, category, exact });
      for (const [j, item] of items.entries()) {
        const { rows, scores } = found[j]!;
        for (const [n, row] of rows.entries()) {
          if (offset + row !== homeOffset + chunk.from + item) {
            lists[item]!.push({ row: offset + row, score: scores[n]! });
          }
        }
        lists[item] = best(lists[item]!, k);
      }
      onProgress((done += items.length), numItems * shards.length);
    }
  }
  return lists;
}

interface QueryBatch {
  category: string | undefined;
  /** Positions in the chunk. */
  items: number[];
  vectors: Float32Array;
}

/** The chunk's own vectors in batches that share a filter. */
function queriesOf(home: Shard, { from, to }: SimilarChunk, withinCategory: boolean): QueryBatch[] {
  const positions = Array.from({ length: to - from }, (_, item) => item);
  const groups = Map.groupBy(positions, (item) => (withinCategory ? (home.categories[from + item] ?? null) : null));
  const { dim } = home.summary;
  return [...groups].flatMap(([category, members]) =>
    Array.from({ length: Math.ceil(members.length / BATCH) }, (_, i) => {
      const items = members.slice(i * BATCH, (i + 1) * BATCH);
      const vectors = new Float32Array(items.length * dim);
      for (const [j, item] of items.entries()) vectors.set(home.vector(from + item), j * dim);
      return { category: category ?? undefined, items, vectors };
    }),
  );
}

function offsetOf(shards: readonly ShardFiles[], shard: number): number {
  return shards.slice(0, shard).reduce((sum, { summary }) => sum + summary.size, 0);
}

function best(list: Neighbour[], k: number): Neighbour[] {
  return list.sort((a, b) => b.score - a.score || a.row - b.row).slice(0, k);
}
