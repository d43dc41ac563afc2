import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { CalibrationResult } from '../../contracts/calibration.ts';
import { labelOf } from '../../contracts/catalogue.ts';
import type { SnapshotRow } from '../../contracts/catalogue.ts';
import { mergeTopK } from '../../lib/ann/merge.ts';
import { calibrationError, fitCalibration, MIN_PAIRS_OF_A_KIND } from '../../lib/eval/calibration.ts';
import type { LabelledPair } from '../../lib/eval/calibration.ts';
import { answerTask } from './answer-task.ts';
import { sampled } from './sampled.ts';
import { openShard } from './shard.ts';
import type { Shard, ShardFiles } from './shard.ts';
import { readPlainVector } from './snapshot-vectors.ts';
import type { SnapshotVectors } from './snapshot-vectors.ts';

/** Input of the thread that finds out what scores mean; paths are local and verified. */
export interface CalibrateTaskInput extends SnapshotVectors {
  shards: ShardFiles[];
  /** Hits of each query that are looked at. */
  k: number;
  /** Queries at most. */
  numQueries: number;
  seed: number;
}

interface Query {
  /** Of an item that asks: it is no hit of its own. */
  id: string | null;
  label: string;
  image: string;
}

await answerTask<CalibrateTaskInput, CalibrationResult>(async (input, onProgress) => {
  const { k, numQueries, seed } = input;
  const { labels, holdout, items } = await readLabels(input.itemsPath);
  const images = (await readFile(input.imagesPath, 'utf8')).split('\n').filter(Boolean);
  const rowOf = new Map(images.map((image, row) => [image, row]));
  const usable = (queries: Query[]): Query[] => queries.filter(({ image }) => rowOf.has(image));
  const shards: Shard[] = [];
  for (const each of input.shards) shards.push(await openShard(each));

  /** Pairs by query. */
  const pairsOf = async (queries: readonly Query[]): Promise<LabelledPair[][]> => {
    const found: LabelledPair[][] = [];
    await using file = await open(input.vectorsPath);
    for (const [i, query] of queries.entries()) {
      const vector = new Float32Array(input.dim);
      await readPlainVector(file, rowOf.get(query.image)!, input.views, vector, `picture ${query.image}`);
      const lists = shards.map((shard) => shard.search({ vector, k: k + 1, exact: true }).hits);
      const hits = mergeTopK(lists, k + 1).filter(({ id }) => id !== query.id && labels.has(id));
      found.push(hits.slice(0, k).map(({ id, score }) => ({ score, isSame: labels.get(id) === query.label })));
      onProgress(i + 1, queries.length);
    }
    return found;
  };

  let result: CalibrationResult | undefined;
  for (const [from, candidates] of [['holdout', holdout] as const, ['items', items] as const]) {
    const queries = sampled(usable(candidates), numQueries, seed);
    result = calibrate(from, await pairsOf(queries));
    if (result.calibration !== null) break;
  }
  return result!;
});

function calibrate(from: 'holdout' | 'items', byQuery: readonly LabelledPair[][]): CalibrationResult {
  const pairs = byQuery.flat();
  const knots = fitCalibration(pairs);
  if (knots === undefined) {
    const numSame = pairs.filter(({ isSame }) => isSame).length;
    const reason = `Expected labels that give at least ${MIN_PAIRS_OF_A_KIND} pairs of pictures with the same and with another label among the nearest, got ${numSame} and ${pairs.length - numSame}.`;
    return { calibration: null, reason };
  }
  // The error is measured where the map does not know the answers.
  const half = fitCalibration(byQuery.filter((_, i) => i % 2 === 0).flat());
  const others = byQuery.filter((_, i) => i % 2 === 1).flat();
  const error = half === undefined ? null : calibrationError(half, others);
  return { calibration: { knots, from, numQueries: byQuery.length, numPairs: pairs.length, error } };
}

/** Labels by item, pictures that were kept for judging, and items whose label another one has too. */
async function readLabels(path: string): Promise<{ labels: Map<string, string>; holdout: Query[]; items: Query[] }> {
  const labels = new Map<string, string>();
  const counts = new Map<string, number>();
  const holdout: Query[] = [];
  const items: Query[] = [];
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    if (line === '') continue;
    const row = JSON.parse(line) as SnapshotRow;
    const { image } = row;
    if (row.role === 'example') {
      if (row.split === 'holdout') holdout.push({ id: null, label: row.label, image });
      continue;
    }
    const label = labelOf(row);
    if (label === null) continue;
    labels.set(row.id, label);
    counts.set(label, (counts.get(label) ?? 0) + 1);
    items.push({ id: row.id, label, image });
  }
  return { labels, holdout, items: items.filter(({ label }) => counts.get(label)! > 1) };
}
