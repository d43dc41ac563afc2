import { open } from 'node:fs/promises';
import type { AnnBuilder, IndexSpec } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { createBuilder } from '../../lib/ann/index.ts';
import { withThreads } from '../ann/with-threads.ts';
import { answerTask } from './answer-task.ts';
import { writeParts } from './files.ts';
import { planRows } from './plan-rows.ts';
import type { PlannedRow } from './plan-rows.ts';

/** Input of the thread that builds one shard; paths are local and verified. */
export interface BuildTaskInput {
  itemsPath: string;
  imagesPath: string;
  vectorsPath: string;
  /** Shape of the vectors file: [numImages * views, dim]. */
  dim: number;
  views: number;
  spec: IndexSpec;
  shard: number;
  numShards: number;
  indexPath: string;
  rowsPath: string;
}
export interface BuildTaskOutput {
  size: number;
  numLeftOut: number;
}

await answerTask<BuildTaskInput, BuildTaskOutput>(async (input, onProgress) => {
  const { dim, spec, shard, numShards } = input;
  const { rows, numLeftOut } = await planRows(input.itemsPath, input.imagesPath, shard, numShards);
  // The same bytes on any number of threads.
  await withThreads(rows.length, async (machine) => {
    const builder = createBuilder(spec, dim, machine);
    await addRows(builder, rows, input);
    const index = await builder.build(undefined, (done) => onProgress(done, rows.length));
    await writeParts(input.indexPath, await index.serialise());
  });
  const lines = rows.map(({ image: _, ...row }) => Buffer.from(`${JSON.stringify(row)}\n`));
  await writeParts(input.rowsPath, [Buffer.concat(lines)]);
  return { size: rows.length, numLeftOut };
});

async function addRows(
  builder: AnnBuilder,
  rows: readonly PlannedRow[],
  { vectorsPath, dim, views }: Pick<BuildTaskInput, 'vectorsPath' | 'dim' | 'views'>,
): Promise<void> {
  const vector = new Float32Array(dim);
  const bytes = new Uint8Array(vector.buffer);
  await using file = await open(vectorsPath);
  for (const { id, image } of rows) {
    // View 0, the plain picture. Row by row: a shard needs a part of a file that may be larger than memory.
    const { bytesRead } = await file.read(bytes, 0, bytes.length, image * views * bytes.length);
    if (bytesRead !== bytes.length) {
      throw new LookalikeError(
        'corruptArtifact',
        `Expected the embeddings to hold the vector of item ${id}, and they end before it.`,
      );
    }
    builder.add(vector);
  }
}
