import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LookalikeError } from '../../contracts/errors.ts';
import type { TrainingStore } from '../../contracts/registry.ts';
import { leadLink, linksOf } from '../../lib/train/model-parallel-plan.ts';
import type { ModelParallelPlan } from '../../lib/train/model-parallel-plan.ts';
import { connectLink } from '../pipeline/wire-link.ts';
import type { LinkHost, WireLink } from '../pipeline/wire-link.ts';
import type { RunKeys } from '../sync/curve-keys.ts';
import { Noticeboard } from './noticeboard.ts';
import type { Notice } from './noticeboard.ts';

/** Between two looks at the registry. */
const LOOK_EVERY_MS = 200;

export interface GatheringOptions {
  run: string;
  index: number;
  /** Grows with each start of this part. */
  attempt: number;
  plan: ModelParallelPlan;
  keys: RunKeys;
  links: LinkHost;
  /** Where this process can be reached. */
  host: string;
  directory: Pick<TrainingStore, 'announceShard' | 'shards'>;
  signal: AbortSignal;
  onWaiting: (reason: string) => void;
}

/** All parts of a run, connected, and what they start from. Once one link breaks, all of this part's are closed. */
export interface Gathering {
  link(name: string): WireLink;
  readonly links: readonly WireLink[];
  /** The checkpoint that all parts start from; null for the initial values. */
  readonly checkpoint: string | null;
  close(): void;
}

/**
 * How parts find each other, again whenever one was lost. Each listens anew and puts up a notice with a name that it never uses
 * twice; when all are there the lead puts up whom it takes together, and everybody connects. A notice of somebody who is gone is
 * found out by its silence: the lead goes on looking until the parts that it chose are the ones that are there.
 */
export class Meeting {
  readonly #options: GatheringOptions;
  readonly #board: Noticeboard;
  /** Names under which somebody has connected to this lead before. */
  readonly #used = new Set<string>();

  constructor(options: GatheringOptions) {
    this.#options = options;
    this.#board = new Noticeboard(options);
  }

  /**
   * @param checkpoint of the lead, which decides
   * @throws LookalikeError `unavailable` when the gathering came to nothing: try again; `unauthorized` when another part holds
   * another secret; `cancelled`
   */
  async gather(checkpoint?: string | null): Promise<Gathering> {
    const { plan, index, keys, links: door, host, signal } = this.#options;
    const all = new Map<string, WireLink>();
    const close = (): void => all.forEach((link) => link.close());
    signal.addEventListener('abort', close, { once: true });
    try {
      const own: Notice = { id: randomUUID(), urls: {} };
      for (const { name, client } of linksOf(plan).filter((link) => link.host === index)) {
        const { url, link } = await door.listen(host, this.#nameOf(client));
        own.urls[name] = url;
        all.set(name, link);
      }
      const met = await (index === 0 ? this.#choose(own, checkpoint ?? null) : this.#waitToBeChosen(own));
      for (const { name, host: other } of linksOf(plan).filter((link) => link.client === index)) {
        all.set(name, connectLink(keys, met.notices.get(other)!.urls[name]!, this.#nameOf(other)));
      }
      if (index === 0) this.#remember(all, met.notices);
      await this.#untilConnected([...all.values()], met.isStill);
      for (const link of all.values()) void link.ended.then(close);
      return { link: (name) => all.get(name)!, links: [...all.values()], checkpoint: met.checkpoint, close };
    } catch (error) {
      close();
      throw signal.aborted ? new LookalikeError('cancelled', 'Training was cancelled.') : error;
    }
  }

  /** Of the lead: waits for everybody, then says so. */
  async #choose(own: Notice, checkpoint: string | null) {
    const { plan, onWaiting, signal } = this.#options;
    for (;;) {
      const notices = await this.#board.read();
      const missing = plan.parts.slice(1).filter(({ index }) => {
        const notice = notices.get(index);
        return notice === undefined || this.#used.has(notice.id);
      });
      if (missing.length === 0) {
        const ids = plan.parts.map(({ index }) => (index === 0 ? own.id : notices.get(index)!.id));
        await this.#board.put({ ...own, chosen: { ids, checkpoint } });
        const isStill = (now: ReadonlyMap<number, Notice>): boolean =>
          ids.every((id, index) => index === 0 || now.get(index)?.id === id);
        return { notices, checkpoint, isStill };
      }
      onWaiting(`It waits for ${missing.map(({ index }) => this.#nameOf(index)).join(', ')}.`);
      await sleep(LOOK_EVERY_MS, undefined, { signal });
    }
  }

  async #waitToBeChosen(own: Notice) {
    const { index, onWaiting, signal } = this.#options;
    await this.#board.put(own);
    for (;;) {
      const notices = await this.#board.read();
      const lead = notices.get(0);
      const { chosen } = lead ?? {};
      const isWhole = chosen?.ids.every((id, i) => i === index || notices.get(i)?.id === id);
      if (chosen !== undefined && chosen.ids[index] === own.id && isWhole) {
        const isStill = (now: ReadonlyMap<number, Notice>): boolean => now.get(0)?.id === lead!.id;
        return { notices, checkpoint: chosen.checkpoint, isStill };
      }
      onWaiting('It waits for the lead to gather all parts.');
      await sleep(LOOK_EVERY_MS, undefined, { signal });
    }
  }

  /** Whoever connects to the lead knows when it lets go, and comes back under another name. */
  #remember(all: ReadonlyMap<string, WireLink>, notices: ReadonlyMap<number, Notice>): void {
    for (const [index, { id }] of notices) {
      const link = all.get(leadLink(index));
      void link?.connected.then(
        () => this.#used.add(id),
        () => undefined,
      );
    }
  }

  async #untilConnected(
    links: readonly WireLink[],
    isStill: (now: ReadonlyMap<number, Notice>) => boolean,
  ): Promise<void> {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#options.signal]);
    const look = async (): Promise<void> => {
      for (;;) {
        await sleep(LOOK_EVERY_MS, undefined, { signal });
        this.#options.onWaiting('It connects to the other parts.');
        if (isStill(await this.#board.read())) continue;
        throw new LookalikeError('unavailable', 'A part of the run was lost while the parts were gathering.');
      }
    };
    const looking = look();
    looking.catch(() => undefined);
    try {
      await Promise.race([Promise.all(links.map(({ connected }) => connected)), looking]);
    } finally {
      stop.abort();
    }
  }

  #nameOf(index: number): string {
    const { pipeline } = this.#options.plan;
    return index < pipeline.numStages ? `stage ${index}` : `part ${index}`;
  }
}
