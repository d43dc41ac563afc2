import { open } from 'node:fs/promises';
import type { AnnBuilder, IndexSpec } from '../../contracts/ann.ts';
import { createBuilder } from '../../lib/ann/index.ts';
import { withThreads } from '../ann/with-threads.ts';
import { answerTask } from './answer-task.ts';
import { writeParts } from './files.ts';
import { planRows } from './plan-rows.ts';
import type { PlannedRow } from './plan-rows.ts';
import { readPlainVector } from './snapshot-vectors.ts';
import type { SnapshotVectors } from './snapshot-vectors.ts';

/** Input of the thread that builds one shard; paths are local and verified. */
export interface BuildTaskInput extends SnapshotVectors {
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
  await using file = await open(vectorsPath);
  for (const { id, image } of rows) {
    await readPlainVector(file, image, views, vector, `item ${id}`);
    builder.add(vector);
  }
}
