import { setImmediate as pause } from 'node:timers/promises';
import type { AnnMachine, IndexSpec, SearchOptions } from '../../contracts/ann.ts';
import { createBuilder } from '../../lib/ann/index.ts';
import type { Answers, Contender, Effort } from './contender.ts';
import type { Dataset } from './dataset.ts';
import { specText } from './spec-text.ts';
import { rowOf } from './vector-set.ts';

export interface OurBuild {
  name: string;
  spec: IndexSpec;
  efforts: readonly Effort[];
}

export interface BuildContext {
  data: Dataset;
  k: number;
  machine: AnnMachine;
  signal: AbortSignal;
  onProgress: (done: number, total: number) => void;
}

const ROWS_PER_PAUSE = 10_000;

/** Builds one index of ours; the time counts from the first vector handed over. */
export async function buildOurs({ name, spec, efforts }: OurBuild, context: BuildContext): Promise<Contender> {
  const { data, k, machine, signal, onProgress } = context;
  const { rows, queries } = data;
  const started = performance.now();
  const builder = createBuilder(spec, rows.dim, machine);
  for (let row = 0; row < rows.size; row++) {
    if (row % ROWS_PER_PAUSE === 0) {
      await pause();
      signal.throwIfAborted();
    }
    builder.add(rowOf(rows, row));
  }
  const index = await builder.build(signal, (done) => onProgress(done, rows.size));
  const buildSeconds = (performance.now() - started) / 1000;
  const options = (effort: Effort): SearchOptions => ({ ...effort, k, signal });

  return {
    name,
    build: specText(spec),
    buildSeconds,
    memoryBytes: index.memoryBytes,
    efforts,
    async answer(effort): Promise<Answers> {
      const found = await index.searchBatch(queries.data, options(effort));
      const all = new Int32Array(queries.size * k).fill(-1);
      found.forEach((one, i) => all.set(one.rows, i * k));
      const visited = found.map((one) => one.visited);
      if (visited.some((count) => count === undefined)) return { rows: all };
      const sum = visited.reduce<number>((total, count) => total + (count ?? 0), 0);
      return { rows: all, visitedShare: sum / (queries.size * rows.size) };
    },
    async time(effort, how, seconds, batch) {
      const wanted = options(effort);
      const part = queries.data.subarray(0, Math.min(batch, queries.size) * queries.dim);
      const begun = performance.now();
      let done = 0;
      for (;;) {
        if (how === 'single') {
          index.search(rowOf(queries, done % queries.size), wanted);
          done++;
        } else {
          await index.searchBatch(part, wanted);
          done += part.length / queries.dim;
        }
        const elapsed = (performance.now() - begun) / 1000;
        if (elapsed >= seconds) return done / elapsed;
      }
    },
    close: () => Promise.resolve(),
  };
}
