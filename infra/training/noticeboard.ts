import { LookalikeError } from '../../contracts/errors.ts';
import { announcedUrl, readUrl } from '../sync/shard-address.ts';
import type { GatheringOptions } from './gathering.ts';

/** So many looks in a row must have found a part of another secret: its host may be in the middle of being put right. */
const MIN_FOREIGN_LOOKS = 5;

/** What a part says of itself in the registry. */
export interface Notice {
  /** Of one gathering of one process. */
  id: string;
  /** Where it listens for the other end of each of its links, by the link's name. */
  urls: Record<string, string>;
  /** By the lead: the notice of every part that it takes, and what they start from. */
  chosen?: { ids: string[]; checkpoint: string | null };
}

/** Notices of one run in the table of training shards: one row per part, as an address with the mark of the key. */
export class Noticeboard {
  readonly #options: Pick<GatheringOptions, 'run' | 'index' | 'attempt' | 'keys' | 'directory'>;
  #numForeign = 0;

  constructor(options: GatheringOptions) {
    this.#options = options;
  }

  /** @throws LookalikeError `unavailable` when this part has been started again elsewhere */
  async put(notice: Notice): Promise<void> {
    const { run, index: shard, attempt, keys, directory } = this.#options;
    const url = announcedUrl(JSON.stringify(notice), keys.server);
    if (!(await directory.announceShard({ run, shard, url, attempt }))) throw superseded(run, shard);
  }

  /** Those of the other parts, by index. @throws LookalikeError `unauthorized`; `unavailable` as `put` */
  async read(): Promise<Map<number, Notice>> {
    const { run, index, attempt, keys, directory } = this.#options;
    // A registry that is away for a moment has no news.
    const rows = await directory.shards(run).catch(() => []);
    const own = rows.find(({ shard }) => shard === index);
    if (own !== undefined && own.attempt > attempt) throw superseded(run, index);
    const others = rows.filter(({ shard }) => shard !== index);
    const read = others.map((row) => ({ shard: row.shard, ...readUrl(row.url, keys.server) }));
    const foreign = read.find(({ isForeign }) => isForeign);
    this.#numForeign = foreign === undefined ? 0 : this.#numForeign + 1;
    if (foreign !== undefined && this.#numForeign >= MIN_FOREIGN_LOOKS) {
      throw new LookalikeError(
        'unauthorized',
        `Expected part ${foreign.shard} of the training to hold the key of this trainer's LOOKALIKE_DATA_PLANE_TOKEN, but it announced one ` +
          'of another secret: give every trainer the same LOOKALIKE_DATA_PLANE_TOKEN.',
        { part: foreign.shard },
      );
    }
    return new Map(
      read.flatMap(({ shard, url, isForeign }) => (isForeign ? [] : [[shard, JSON.parse(url) as Notice] as const])),
    );
  }
}

function superseded(run: string, index: number): LookalikeError {
  return new LookalikeError('unavailable', `Part ${index} of ${run} has been started again elsewhere.`);
}
