import type { AnnMachine, Neighbours, SearchOptions } from '../../../contracts/ann.ts';
import { inLanes } from '../lanes.ts';
import type { Rows } from '../rows.ts';
import { numQueries } from '../search-each.ts';
import { runCalls } from '../run-calls.ts';
import { kernelCall, readAnswers, searchRoom } from './search-call.ts';
import type { Effort } from './search-call.ts';

/** Queries of one kernel call: as many as let some 8 of them share the reading of a list, within limits. */
const SHARED_READS = 8;
const LISTS_QUERIES = [512, 4096] as const;
const SCAN_QUERIES = 16;
/** Without threads an abort arrives between calls alone. */
const ALONE_QUERIES = 128;
/** Calls under way for each thread: while one runs, the answers of another are read and its next queries laid out. */
const LANES_PER_THREAD = 2;
/** Room of a call, about: answers by the thousand are found for fewer queries at a time. */
const MAX_CALL_BYTES = 16 << 20;

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
  const readyQuery = (i: number): Float32Array => rows.ready(queries.subarray(i * dim, (i + 1) * dim), options);
  if (effort.wanted === 0) return Array.from({ length: count }, (_, i) => retry(readyQuery(i)));
  const { signal, allowed } = options;
  const numLanes = machine.threads === undefined ? 1 : machine.threads.size * LANES_PER_THREAD;
  const perCall = Math.max(1, Math.min(queriesPerCall(effort, dim, machine), Math.ceil(count / numLanes)));
  const answers: Neighbours[] = Array<Neighbours>(count);
  await kernels.longScratch(async () => {
    const bitmap = allowed === undefined ? 0 : kernels.place(allowed.subarray(0, Math.ceil(size / 32)));
    const rooms = Array.from({ length: Math.min(numLanes, Math.ceil(count / perCall)) }, () =>
      searchRoom(kernels, descriptor, dim, perCall, effort),
    );
    await inLanes(rooms, { count, size: perCall }, async (room, from, to) => {
      const place = kernels.f32(room.queries, perCall * dim);
      for (let i = from; i < to; i++) place.set(readyQuery(i), (i - from) * dim);
      await runCalls(kernels, machine, [kernelCall(descriptor, room, to - from, effort, bitmap)], signal);
      for (const [i, answer] of readAnswers(kernels, room, to - from, effort).entries()) answers[from + i] = answer;
    });
  });
  return answers.map((answer, i) => {
    return effort.plan === 'lists' && answer.rows.length < effort.wanted ? retry(readyQuery(i)) : answer;
  });
}

function queriesPerCall(effort: Effort, dim: number, { threads }: AnnMachine): number {
  const { plan, numLists, nprobe, numCandidates, wanted } = effort;
  const bytes = dim * 8 + nprobe * 12 + numCandidates * 12 + wanted * 8;
  const fitting = Math.max(1, Math.floor(MAX_CALL_BYTES / bytes));
  if (plan === 'scan') return Math.min(SCAN_QUERIES, fitting);
  if (threads === undefined) return Math.min(ALONE_QUERIES, fitting);
  const [least, most] = LISTS_QUERIES;
  return Math.min(fitting, most, Math.max(least, Math.ceil((SHARED_READS * numLists) / nprobe)));
}
