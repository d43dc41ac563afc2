import { Inject, Injectable } from '@nestjs/common';
import { LookalikeError } from '../../contracts/errors.ts';
import type { CalibrationResult } from '../../contracts/calibration.ts';
import type { Registry } from '../../contracts/registry.ts';
import type { RoutingTable, SearchAnswer } from '../../contracts/serving.ts';
import { probabilityOf } from '../../infra/calibration/calibrations.ts';
import type { Calibrations } from '../../infra/calibration/calibrations.ts';
import type { Logger } from '../../infra/log/logger.ts';
import { effortOf } from '../../infra/shards/search-effort.ts';
import { CALIBRATIONS, LOGGER, REGISTRY, SEARCHER } from '../ports.ts';
import type { Searcher, SearcherAnswer, SearcherQuery } from '../ports.ts';
import { firstDepth, rounds } from './candidates.ts';
import type { Found } from './candidates.ts';
import { fingerprint, readCursor, requireGeneration, writeCursor } from './cursor.ts';
import type { Cursor } from './cursor.ts';
import { pageOf } from './page.ts';
import type { Page } from './page.ts';
import type { QueryVectorOnce } from './query-vector-once.ts';
import type { Candidate } from './ranking.ts';
import { isReranked, rerankDepth, rerankedPage } from './rerank-page.ts';
import type { SearchInput } from './search-input.ts';

/** One page of an answer, and what it was made of. */
export interface FoundPage extends Page, Pick<SearchAnswer, 'nextCursor' | 'end' | 'index'> {
  found: Found;
  /** Vectors of the candidates included. */
  rerankMs?: number;
}

interface Limits {
  signal: AbortSignal;
  deadlineMs: number;
}

/** Finds the page that a search asks for: rounds of all shards, then cut-off, re-ranking and groups. */
@Injectable()
export class PageService {
  private readonly registry: Registry;
  private readonly searcher: Searcher;
  private readonly calibrations: Calibrations;
  private readonly logger: Logger;

  constructor(
    @Inject(REGISTRY) registry: Registry,
    @Inject(SEARCHER) searcher: Searcher,
    @Inject(CALIBRATIONS) calibrations: Calibrations,
    @Inject(LOGGER) logger: Logger,
  ) {
    this.registry = registry;
    this.searcher = searcher;
    this.calibrations = calibrations;
    this.logger = logger;
  }

  /** @throws LookalikeError `conflict` when the cursor's generation no longer serves, or scores mean nothing and should; as the searcher */
  async find(catalogue: string, input: SearchInput, queryVector: QueryVectorOnce, limits: Limits): Promise<FoundPage> {
    const search = fingerprint(catalogue, input);
    const cursor = input.cursor === undefined ? undefined : readCursor(input.cursor, search);
    const reranks = isReranked(input);
    // Later pages re-rank what the first did, whatever their own k.
    const window = reranks ? (cursor?.window ?? rerankDepth(input)) : undefined;
    const depth = cursor?.depth ?? firstDepth(window ?? input.k, input);
    const { category, filter, exact, minScore, allowPartial, explain } = input;
    const exactScores = reranks || input.exactScores;
    const asks = { category, filter, exact, exactScores, minScore, allowPartial, explain, ...effortOf(input) };
    const searcher = { search: (query: SearcherQuery) => this.searchWith(query, queryVector) };
    const vector = (table: RoutingTable): Promise<Float32Array> => queryVector.for(table);
    const query = { ...asks, ...limits, catalogue, vector };
    for await (const found of rounds(searcher, this.registry.catalogue, input, query, depth)) {
      const { table } = found.round;
      if (cursor !== undefined) requireGeneration(cursor, table.generation);
      const index = await this.indexOf(table);
      const likely = await this.likely(found.candidates, index, input);
      // What is less likely than asked for is followed by what is less likely still.
      const isAll = found.isAll || likely.length < found.candidates.length;
      const isEnough = window === undefined ? undefined : likely.length >= window;
      if (isEnough === false && !isAll) continue;
      const page =
        window === undefined
          ? pageOf(likely, input, cursor)
          : await this.reranked(table, likely.slice(0, window), input, queryVector, cursor, limits.signal);
      if (isEnough === undefined && page.hits.length < input.k && !isAll) continue;
      const last = page.hits.at(-1);
      const goesOn = page.hits.length === input.k && (page.hasMore || (window === undefined && !isAll));
      if (goesOn && last !== undefined) {
        const at = { score: last.score, id: last.item.id };
        const nextCursor = writeCursor({ generation: table.generation, ...at, depth, window }, search);
        return { ...page, found, index, nextCursor };
      }
      const isCut = isEnough === true && (likely.length > (window ?? 0) || !isAll);
      const end = isCut ? 'rerankDepth' : found.isDepthReached ? 'depth' : 'nothingMore';
      return { ...page, found, index, nextCursor: null, end };
    }
    throw new Error('Expected rounds to end with one that is all.');
  }

  /** With the probability that each shows the same product; without those below the one that is asked for. */
  private async likely(
    candidates: Candidate[],
    index: string,
    { minProbability }: Pick<SearchInput, 'minProbability'>,
  ): Promise<Candidate[]> {
    const result = await this.calibrationOf(index, minProbability !== undefined);
    if (result.calibration === null) {
      if (minProbability === undefined) return candidates;
      const advice = 'Use `minScore`, or import labels and retrain.';
      throw new LookalikeError(
        'conflict',
        `\`minProbability\` needs to know what scores mean. ${result.reason} ${advice}`,
      );
    }
    const { knots } = result.calibration;
    return candidates
      .map((one) => ({ ...one, probability: probabilityOf(knots, one.score) }))
      .filter(({ probability }) => minProbability === undefined || probability >= minProbability);
  }

  /** An answer that need not say how probable its hits are is not held back by an artefact store that fails. */
  private async calibrationOf(index: string, isNeeded: boolean): Promise<CalibrationResult> {
    try {
      return await this.calibrations(index);
    } catch (error) {
      if (isNeeded) throw error;
      this.logger.warn({ err: error, index }, 'what scores mean could not be read');
      return { calibration: null, reason: 'It could not be read.' };
    }
  }

  private async reranked(
    table: RoutingTable,
    candidates: Candidate[],
    input: SearchInput,
    queryVector: QueryVectorOnce,
    cursor: Cursor | undefined,
    signal: AbortSignal,
  ): Promise<Page & Pick<FoundPage, 'rerankMs'>> {
    const started = performance.now();
    const ids = candidates.map(({ item }) => item.id);
    const [query, vectors] = await Promise.all([queryVector.for(table), this.searcher.vectorsOf(table, ids, signal)]);
    const page = rerankedPage(input, query, candidates, vectors, cursor?.id);
    return { ...page, rerankMs: performance.now() - started };
  }

  /** The time that making the vector took counts as its own. */
  private async searchWith(query: SearcherQuery, queryVector: QueryVectorOnce): Promise<SearcherAnswer> {
    const before = queryVector.spentMs;
    const answer = await this.searcher.search(query);
    const route = answer.timingsMs.route - (queryVector.spentMs - before);
    return { ...answer, timingsMs: { ...answer.timingsMs, route } };
  }

  private async indexOf(table: RoutingTable): Promise<string> {
    return (await this.registry.generations.get(table.catalogue, table.generation))?.index ?? '';
  }
}
