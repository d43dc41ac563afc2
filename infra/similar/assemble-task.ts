import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { collapse, NearDuplicates } from '../../lib/similar/near-duplicates.ts';
import { answerTask } from '../shards/answer-task.ts';
import type { ShardRow } from '../shards/shard.ts';
import { readNeighbours } from './neighbour-file.ts';
import { writeSimilarFile } from './similar-file.ts';
import type { SimilarRow } from './similar-file.ts';

/** Input of the thread that joins all chunks; paths are local and verified. */
export interface AssembleTaskInput {
  /** Chunk files and how many items each holds, in the order of the rows. */
  chunks: { path: string; numItems: number }[];
  /** `rows.jsonl` of each shard, shard 0 first. */
  rowsPaths: string[];
  /** Neighbours in a chunk's lists, and those that are kept. */
  lookedFor: number;
  k: number;
  nearDuplicateScore: number | null;
  outPath: string;
}
export interface AssembleTaskOutput {
  numItems: number;
  numGroups: number;
  numGrouped: number;
}

await answerTask<AssembleTaskInput, AssembleTaskOutput>(async (input, onProgress) => {
  const { chunks, lookedFor, k, nearDuplicateScore } = input;
  const numItems = chunks.reduce((sum, chunk) => sum + chunk.numItems, 0);
  const groups = new NearDuplicates(numItems);
  let done = 0;
  if (nearDuplicateScore !== null) {
    for await (const { row, list } of lists()) {
      for (const { row: other, score } of list) if (score >= nearDuplicateScore) groups.join(row, other);
    }
  }
  await writeSimilarFile(input.outPath, rows());
  return { numItems, ...groups.count() };

  async function* lists() {
    let row = 0;
    for (const chunk of chunks) {
      for await (const list of readNeighbours(chunk.path, lookedFor, chunk.numItems)) {
        yield { row: row++, list };
        if (++done % 1000 === 0) onProgress(done, nearDuplicateScore === null ? numItems : 2 * numItems);
      }
    }
  }

  async function* rows(): AsyncGenerator<SimilarRow> {
    const ids = idsOf(input.rowsPaths);
    for await (const { row, list } of lists()) {
      const { value: id } = await ids.next();
      const neighbours = collapse(list, row, groups, k);
      const isWhole = neighbours.length === k || list.length < lookedFor;
      yield { row, id: id!, group: groups.groupOf(row), isWhole, neighbours };
    }
  }
});

async function* idsOf(paths: readonly string[]): AsyncGenerator<string, undefined> {
  for (const path of paths) {
    for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
      if (line !== '') yield (JSON.parse(line) as ShardRow).id;
    }
  }
}
