import type { AnnMachine, Neighbours, SearchOptions } from '../../../contracts/ann.ts';
import type { Rows } from '../rows.ts';
import { numQueries } from '../search-each.ts';
import { callRunner } from './call-runner.ts';
import { kernelCall, readAnswers, searchRoom } from './search-call.ts';
import type { Effort } from './search-call.ts';

/** Queries of one kernel call: the more, the more of them share the reading of a list. */
const LISTS_QUERIES = 1024;
const SCAN_QUERIES = 16;
/** Without threads an abort arrives between calls alone. */
const ALONE_QUERIES = 128;

interface BatchSearch {
  queries: Float32Array;
  rows: Rows;
  descriptor: number;
  machine: AnnMachine;
  options: SearchOptions;
  effort: Effort;
  /** Answers a prepared query that found too few. */
  retry: (query: Float32Array) => Neighbours;
}

/** Answers as single searches would, several calls at once, each for many queries that share the reading of lists. */
export async function searchMany(batch: BatchSearch): Promise<Neighbours[]> {
  const { queries, rows, descriptor, machine, options, effort, retry } = batch;
  const { kernels, dim, size } = rows.vectors;
  const count = numQueries(queries, dim);
  const ready = Array.from({ length: count }, (_, i) => rows.ready(queries.subarray(i * dim, (i + 1) * dim), options));
  if (effort.wanted === 0) return ready.map(retry);
  const numLanes = machine.threads?.size ?? 1;
  const most = effort.plan === 'scan' ? SCAN_QUERIES : machine.threads === undefined ? ALONE_QUERIES : LISTS_QUERIES;
  const perCall = Math.max(1, Math.min(most, Math.ceil(count / numLanes)));
  const run = callRunner(kernels, machine, options.signal);
  const answers: Neighbours[] = [];
  await kernels.longScratch(async () => {
    const { allowed } = options;
    const bitmap = allowed === undefined ? 0 : kernels.place(allowed.subarray(0, Math.ceil(size / 32)));
    const lanes = Array.from({ length: Math.min(numLanes, Math.ceil(count / perCall)) }, () =>
      searchRoom(kernels, descriptor, dim, perCall, effort),
    );
    for (let first = 0; first < count; first += perCall * lanes.length) {
      const parts = lanes
        .map((room, lane) => {
          const from = first + lane * perCall;
          return { room, from, to: Math.min(count, from + perCall) };
        })
        .filter(({ from, to }) => from < to);
      for (const { room, from, to } of parts) {
        for (let i = from; i < to; i++) kernels.f32(room.queries + (i - from) * dim * 4, dim).set(ready[i]!);
      }
      await run(parts.map(({ room, from, to }) => kernelCall(descriptor, room, to - from, effort, bitmap)));
      for (const { room, from, to } of parts) answers.push(...readAnswers(kernels, room, to - from, effort));
    }
  });
  return answers.map((answer, i) => {
    return effort.plan === 'lists' && answer.rows.length < effort.wanted ? retry(ready[i]!) : answer;
  });
}
