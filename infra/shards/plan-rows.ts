import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { SnapshotRow } from '../../contracts/catalogue.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { compareIds, shardOf } from '../../lib/ann/shard-of.ts';
import { textsOf } from '../../lib/filters/values.ts';
import type { ShardRow } from './shard.ts';

export interface PlannedRow extends ShardRow {
  /** Line of `images.txt`: which vectors are the item's. */
  image: number;
}

/** The rows of one shard, ascending by id, and how many of its items have no vector because their picture was rejected. */
export async function planRows(
  itemsPath: string,
  imagesPath: string,
  shard: number,
  numShards: number,
): Promise<{ rows: PlannedRow[]; numLeftOut: number }> {
  const images = (await readFile(imagesPath, 'utf8')).split('\n').filter(Boolean);
  const imageAt = new Map(images.map((sha256, i) => [sha256, i]));
  const rows: PlannedRow[] = [];
  let numLeftOut = 0;
  for await (const line of createInterface({ input: createReadStream(itemsPath), crlfDelay: Infinity })) {
    if (line === '') continue;
    const row = JSON.parse(line) as SnapshotRow;
    if (row.role !== 'item' || shardOf(row.id, numShards) !== shard) continue;
    const image = imageAt.get(row.image);
    if (image === undefined) numLeftOut++;
    else rows.push({ id: row.id, category: row.category, attributes: filterable(row.attributes), image });
  }
  rows.sort((a, b) => compareIds(a.id, b.id));
  return { rows, numLeftOut };
}

/** What nobody can filter by need not lie in a shard. */
function filterable(attributes: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => textsOf(value).length > 0));
}
