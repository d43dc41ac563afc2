import { Inject, Injectable } from '@nestjs/common';
import { isLookalikeError } from '../../contracts/errors.ts';
import type { Registry } from '../../contracts/registry.ts';
import type { RoutingTable } from '../../contracts/serving.ts';
import type { Logger } from '../../infra/log/logger.ts';
import { LOGGER, REGISTRY, SEARCHER } from '../ports.ts';
import type { Searcher } from '../ports.ts';
import type { ReadinessDto } from './health.dto.ts';
import { Lifecycle } from './lifecycle.service.ts';

const PROBE_DEADLINE_MS = 1_000;
/** Load balancers ask often, and each probe is a search: one answer serves all who ask within this time. */
const REMEMBER_MS = 1_000;

type Serving = 'answers' | 'partly' | 'silent';

/** Says whether this process can do its work, by trying it. */
@Injectable()
export class HealthService {
  private readonly registry: Registry;
  private readonly searcher: Searcher;
  private readonly lifecycle: Lifecycle;
  private readonly logger: Logger;
  private remembered: { at: number; answer: Promise<ReadinessDto> } | undefined;

  constructor(
    @Inject(REGISTRY) registry: Registry,
    @Inject(SEARCHER) searcher: Searcher,
    @Inject(Lifecycle) lifecycle: Lifecycle,
    @Inject(LOGGER) logger: Logger,
  ) {
    this.registry = registry;
    this.searcher = searcher;
    this.lifecycle = lifecycle;
    this.logger = logger;
  }

  live(): { status: 'ok' | 'shutting_down' } {
    return { status: this.lifecycle.isShuttingDown ? 'shutting_down' : 'ok' };
  }

  /**
   * `ready`: all that serves answers. `degraded`: some of it does. `not_ready`: the registry is out of reach, or nothing
   * that should serve answers. Names no catalogue, because anybody may ask.
   */
  async ready(): Promise<ReadinessDto> {
    if (this.lifecycle.isShuttingDown) return { status: 'shutting_down', registry: 'unknown', serving: null };
    if (this.remembered === undefined || Date.now() - this.remembered.at > REMEMBER_MS) {
      this.remembered = { at: Date.now(), answer: this.look() };
    }
    return await this.remembered.answer;
  }

  private async look(): Promise<ReadinessDto> {
    let states: Serving[];
    try {
      const catalogues = await this.registry.catalogue.catalogues();
      const tables = await Promise.all(catalogues.map(({ catalogue }) => this.searcher.currentTable(catalogue)));
      states = await Promise.all(tables.filter((table) => table !== undefined).map((table) => this.probe(table)));
    } catch (error) {
      this.logger.warn({ err: error }, 'not ready: the registry does not answer');
      return { status: 'not_ready', registry: 'unreachable', serving: null };
    }
    const count = (state: Serving): number => states.filter((one) => one === state).length;
    const serving = {
      catalogues: states.length,
      answer: count('answers'),
      partly: count('partly'),
      silent: count('silent'),
    };
    const isReady = serving.answer === serving.catalogues;
    const status = isReady ? 'ready' : serving.silent === serving.catalogues ? 'not_ready' : 'degraded';
    return { status, registry: 'ok', serving };
  }

  private async probe({ catalogue, dim }: RoutingTable): Promise<Serving> {
    const vector = (): Promise<Float32Array> => Promise.resolve(new Float32Array(dim).fill(1 / Math.sqrt(dim)));
    const signal = AbortSignal.timeout(PROBE_DEADLINE_MS);
    try {
      const { coverage } = await this.searcher.search({
        catalogue,
        vector,
        k: 1,
        allowPartial: true,
        signal,
        deadlineMs: PROBE_DEADLINE_MS,
      });
      return coverage.shardsAnswered === coverage.shardsAsked ? 'answers' : 'partly';
    } catch (error) {
      if (!isLookalikeError(error) && !signal.aborted) throw error;
      this.logger.warn({ err: error, catalogue }, 'the serving generation does not answer');
      return 'silent';
    }
  }
}
