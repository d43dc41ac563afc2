import { setTimeout as delay } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { ItemWrite, RequestKey, WriteOutcome, Written } from '../../contracts/changes.ts';
import type { BlobStore } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { Registry } from '../../contracts/registry.ts';
import { mapBounded } from '../../infra/import/map-bounded.ts';
import { Metrics } from '../health/metrics.service.ts';
import { BLOBS, IMAGE_FETCHER, REGISTRY, SEARCHER } from '../ports.ts';
import type { ImageFetcher, Searcher } from '../ports.ts';
import type { BulkAnswer, ChangesStatusDto, PutItemDto, WriteAnswer } from './items.dto.ts';
import { prepareItem, prepareLine } from './prepare-item.ts';
import type { Pictures } from './prepare-item.ts';
import { SearchableWatch } from './searchable-watch.service.ts';
import type { WriteLine } from './write-lines.ts';

/** Pictures fetched, decoded and stored at once, of one request. */
const CONCURRENCY = 4;
const NO_PICTURE =
  'Expected a picture of an item that is new (imageBase64 or imageUrl, or a file image in a form), got none.';

/** How one request is written: once per key, and answered when searched or after a time. */
export interface WriteOptions {
  key: RequestKey | undefined;
  waitMs: number;
  signal: AbortSignal;
}

/**
 * Takes changes of items. What it answers is durable: pictures first, then all items of a request in one transaction of the registry, which numbers
 * them; embed hosts and index workers follow those numbers.
 */
@Injectable()
export class ItemsService {
  private readonly registry: Registry;
  private readonly searcher: Searcher;
  private readonly pictures: Pictures;
  private readonly watch: SearchableWatch;
  private readonly metrics: Metrics;

  constructor(
    @Inject(REGISTRY) registry: Registry,
    @Inject(BLOBS) blobs: BlobStore,
    @Inject(SEARCHER) searcher: Searcher,
    @Inject(IMAGE_FETCHER) fetchImage: ImageFetcher,
    @Inject(SearchableWatch) watch: SearchableWatch,
    @Inject(Metrics) metrics: Metrics,
  ) {
    this.registry = registry;
    this.searcher = searcher;
    this.pictures = { blobs, fetchImage };
    this.watch = watch;
    this.metrics = metrics;
  }

  /** @throws LookalikeError `invalidInput` | `imageRejected` | `forbiddenUrl` | `conflict` | `unavailable` */
  async put(
    catalogue: string,
    item: PutItemDto & { id: string; image?: Buffer },
    options: WriteOptions,
  ): Promise<WriteAnswer> {
    const prepare = async (): Promise<ItemWrite[]> => [{ put: await prepareItem(this.pictures, item, options.signal) }];
    return this.one(catalogue, item.id, prepare, options);
  }

  async remove(catalogue: string, id: string, options: WriteOptions): Promise<WriteAnswer> {
    return this.one(catalogue, id, () => Promise.resolve([{ delete: id }]), options);
  }

  /** Lines that cannot be taken are told of one by one; the others are written together. */
  async bulk(catalogue: string, lines: readonly WriteLine[], options: WriteOptions): Promise<BulkAnswer> {
    const prepare = async (): Promise<Prepared> => {
      const ready = await mapBounded(lines, CONCURRENCY, (line) => prepareLine(this.pictures, line, options.signal));
      const writes = ready.flatMap((line) => ('write' in line ? [line] : []));
      const rejected = ready.flatMap((line) => ('reason' in line ? [line] : []));
      const answer = ({ outcomes, seq }: Written): JsonObject => {
        const refused = writes.flatMap(({ line, id }, i) =>
          outcomes[i] === 'noPicture' ? [{ line, id, reason: NO_PICTURE }] : [],
        );
        const all = [...rejected, ...refused].sort((a, b) => a.line - b.line);
        return { seq, ...counts(outcomes), rejected: all };
      };
      return { writes: writes.map(({ write }) => write), answer };
    };
    return (await this.write(catalogue, prepare, options)) as BulkAnswer;
  }

  async status(catalogue: string): Promise<ChangesStatusDto> {
    const [seq, status] = await Promise.all([
      this.registry.changes.lastSeq(catalogue),
      this.searcher.deltaStatus(catalogue),
    ]);
    if (status === undefined) return { seq, searchableSeq: null, numWaiting: 0, numRows: 0, generation: null };
    this.metrics.observeDelta(catalogue, status);
    return { seq, ...status };
  }

  private async one(
    catalogue: string,
    id: string,
    prepare: () => Promise<ItemWrite[]>,
    options: WriteOptions,
  ): Promise<WriteAnswer> {
    const answer = ({ outcomes: [outcome], seq }: Written): JsonObject => {
      // Thrown within the transaction: nothing is written, and the key is free.
      if (outcome === undefined || outcome === 'noPicture') throw new LookalikeError('invalidInput', NO_PICTURE);
      return { id, outcome, seq };
    };
    const prepared = async (): Promise<Prepared> => ({ writes: await prepare(), answer });
    return (await this.write(catalogue, prepared, options)) as WriteAnswer;
  }

  private async write(
    catalogue: string,
    prepare: () => Promise<Prepared>,
    { key, waitMs }: WriteOptions,
  ): Promise<JsonObject> {
    const before = key && (await this.registry.catalogue.answerOf(catalogue, key));
    const answer = before ?? (await this.writeNow(catalogue, await prepare(), key));
    const searchable = this.watch.follow(catalogue, Number(answer.seq));
    if (waitMs === 0) return answer;
    return { ...answer, searchable: await Promise.race([searchable, delay(waitMs, false, { ref: false })]) };
  }

  private async writeNow(
    catalogue: string,
    { writes, answer }: Prepared,
    key: RequestKey | undefined,
  ): Promise<JsonObject> {
    const told = (written: Written): JsonObject => {
      const given = answer(written);
      this.metrics.observeWrites(counts(written.outcomes));
      return given;
    };
    if (key === undefined) return told(await this.registry.catalogue.writeItems(catalogue, writes));
    return this.registry.catalogue.writeItemsOnce(catalogue, key, writes, told);
  }
}

interface Prepared {
  writes: ItemWrite[];
  answer: (written: Written) => JsonObject;
}

function counts(outcomes: readonly WriteOutcome[]): Record<Exclude<WriteOutcome, 'noPicture'>, number> {
  const count = { added: 0, changed: 0, unchanged: 0, deleted: 0, absent: 0 };
  for (const outcome of outcomes) if (outcome !== 'noPicture') count[outcome]++;
  return count;
}
