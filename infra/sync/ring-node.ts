import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context, Pull } from 'zeromq';
import { LookalikeError } from '../../contracts/errors.ts';
import type { TrainingStore } from '../../contracts/registry.ts';
import type { Frame, FrameHeader } from '../../lib/sync/frames.ts';
import type { RingPeer } from '../../lib/sync/ring.ts';
import type { Config } from '../config/env.ts';
import type { Logger } from '../log/logger.ts';
import { deriveRunKeys } from './curve-keys.ts';
import { frameOf, NO_BODY, partsOf } from './frame-parts.ts';
import { listenAt } from './listen-at.ts';
import { messagesOf } from './messages.ts';
import { RingLink } from './ring-link.ts';
import { RingSession } from './ring-session.ts';
import { announcedUrl } from './shard-address.ts';
import { MAX_TEXT_BYTES, TCP_OPTIONS } from './socket-options.ts';
import { keepDoor } from './zap.ts';
import type { Doorkeeper } from './zap.ts';

export interface RingNodeOptions {
  config: Pick<Config, 'dataPlane'>;
  /** Whose ranks may connect. */
  run: string;
  rank: number;
  size: number;
  /** Grows with each start of this rank: a later one stands above an earlier one that still runs. */
  attempt: number;
  bucketBytes: number;
  /** Where ranks say where they are. */
  directory: Pick<TrainingStore, 'announceShard' | 'shards'>;
  /** A ring that is not whole after this is given up for now. Default: 15 s. */
  silenceMs?: number;
  logger?: Logger;
}

/** While a ring forms, neighbours are looked for and asked this often. */
const LOOK_EVERY_MS = 200;
/** So many looks in a row must have found a neighbour of another key. */
const MIN_FOREIGN_LOOKS = 3;
/** Messages on their way in; beyond them the sender waits. */
const RECEIVE_QUEUE = 16;

interface Neighbour {
  link: RingLink;
  /** As it last said: which process it is, and the number of the ring that it is in or wants. */
  known: { process: number; attempt: number; generation: number } | null;
}

/**
 * One process's place in the rings of a run, which form again when a rank is lost. Rings are numbered. A rank that has been in ring g
 * wants g + 1 next, one that hears of a later number wants that, and nobody goes back; so all come to want the same number, and a
 * ring is whole for a rank once both neighbours want it too. Invariants: a rank is in each ring at most once, with the same two
 * processes beside it from the first message to the last; who hears that a neighbour wants a later ring, or is another process, is in
 * none any more.
 */
export class RingNode {
  readonly #options: RingNodeOptions;
  readonly #socket: Pull;
  readonly #door: Doorkeeper;
  readonly #url: string;
  readonly #neighbours = new Map<number, Neighbour>();
  /** Tells this process from the rank's one before. */
  readonly #process = randomInt(2 ** 32);
  readonly #served: Promise<void>;
  #generation = 1;
  #session: RingSession;
  /** Resolves the meeting that waits for this generation; null outside one. */
  #meeting: ((session: RingSession) => void) | null = null;
  #isJoined = false;
  #failure: LookalikeError | null = null;
  #numDamaged = 0;

  private constructor(options: RingNodeOptions, socket: Pull, door: Doorkeeper, url: string) {
    const { run, rank, size, config } = options;
    this.#options = options;
    this.#socket = socket;
    this.#door = door;
    this.#url = url;
    const keys = deriveRunKeys(config.dataPlane.token, run);
    for (const other of new Set([(rank + 1) % size, (rank + size - 1) % size])) {
      if (other === rank) continue;
      // While a ring forms, there may be nobody yet.
      const onLost = (): void => {
        if (this.#isJoined) this.#session.lose(this.#away(other));
      };
      this.#neighbours.set(other, { link: new RingLink({ rank: other, keys, onLost }), known: null });
    }
    this.#session = this.#newSession();
    this.#served = this.#serve();
  }

  /** Listens and says where. @throws LookalikeError `unavailable` when it cannot listen, or a later attempt of this rank is there */
  static async open(options: RingNodeOptions): Promise<RingNode> {
    const { config, run, rank, attempt, bucketBytes, directory } = options;
    const keys = deriveRunKeys(config.dataPlane.token, run);
    // A context of its own: it has one doorkeeper, which asks for this run's key.
    const context = new Context();
    const door = await keepDoor(context, keys.client);
    const socket = new Pull({
      context,
      ...TCP_OPTIONS,
      curveServer: true,
      curveSecretKey: keys.server.secretKey,
      zapDomain: 'lookalike',
      maxMessageSize: bucketBytes + MAX_TEXT_BYTES,
      receiveHighWaterMark: RECEIVE_QUEUE,
    });
    try {
      const url = announcedUrl(await listenAt(socket, config.dataPlane.host), keys.server);
      if (await directory.announceShard({ run, shard: rank, url, attempt })) {
        return new RingNode(options, socket, door, url);
      }
      throw new LookalikeError('unavailable', `Rank ${rank} of ${run} has been started again elsewhere.`);
    } catch (error) {
      socket.close();
      door.close();
      throw error;
    }
  }

  get url(): string {
    return this.#url;
  }

  counts(): { damaged: number; refused: number } {
    return { damaged: this.#numDamaged, refused: this.#door.refused() };
  }

  /**
   * Joins the next ring, the one before being over.
   * @throws LookalikeError `unavailable` when it is not whole in time; `unauthorized` when that is as a neighbour has another secret;
   * `conflict` when a later attempt of this rank is announced; `cancelled`
   */
  async meet(signal?: AbortSignal): Promise<RingPeer> {
    if (this.#isJoined) this.#advance(this.#generation + 1);
    const { silenceMs = 15_000 } = this.#options;
    const until = performance.now() + silenceMs;
    const joined = Promise.withResolvers<RingSession>();
    this.#meeting = joined.resolve;
    try {
      for (;;) {
        if (signal?.aborted) throw new LookalikeError('cancelled', 'Waiting for the ring was cancelled.');
        if (this.#failure !== null) throw this.#failure;
        await this.#look();
        this.#sayHello(true);
        this.#joinIfWhole();
        const session = await Promise.race([joined.promise, sleep(LOOK_EVERY_MS, null)]);
        if (session !== null) return session;
        if (performance.now() > until) throw this.#giveUp(silenceMs);
      }
    } finally {
      this.#meeting = null;
    }
  }

  /** Ends at once; neighbours see the connections break. */
  async close(): Promise<void> {
    if (this.#socket.closed) return;
    this.#failure ??= new LookalikeError('cancelled', 'This rank has left its rings.');
    this.#session.lose(this.#failure);
    for (const { link } of this.#neighbours.values()) link.close();
    this.#socket.close();
    this.#door.close();
    await Promise.all([this.#served, this.#door.ended.catch(() => undefined)]);
  }

  /** Finds out where the neighbours are. @throws LookalikeError `conflict` */
  async #look(): Promise<void> {
    const { directory, run, rank } = this.#options;
    // A registry that is away for a moment is asked again.
    const rows = await directory.shards(run).catch(() => []);
    const own = rows.find((row) => row.shard === rank);
    if (own !== undefined && own.url !== this.#url) {
      throw new LookalikeError('conflict', `Rank ${rank} of ${run} is attempt ${own.attempt} now.`);
    }
    for (const [other, { link }] of this.#neighbours) link.point(rows.find((row) => row.shard === other)?.url);
  }

  /** @param asks whether an answer is wanted */
  #sayHello(asks: boolean, to: Iterable<number> = this.#neighbours.keys()): void {
    for (const rank of to) {
      // To who is not connected yet it is said again.
      this.#send(rank, { type: 'hello', weight: asks ? 1 : 0 }, NO_BODY).catch(() => undefined);
    }
  }

  async #send(to: number, header: Partial<FrameHeader> & Pick<FrameHeader, 'type'>, body: Uint8Array): Promise<void> {
    const { rank, attempt } = this.#options;
    const scalars = { shard: rank, slice: to, incarnation: this.#generation, version: this.#process, step: attempt };
    await this.#neighbours.get(to)!.link.send(partsOf({ ...scalars, ...header }, body));
  }

  async #serve(): Promise<void> {
    try {
      const doorFailed = this.#door.ended.then(() => undefined);
      const received = (async () => {
        for await (const [header, body] of messagesOf(this.#socket)) this.#receive(header, body);
      })();
      // What fails first counts: a rank without its doorkeeper is deaf to whoever is not connected yet.
      await Promise.race([received, doorFailed.then(() => received)]);
    } catch (error) {
      if (this.#socket.closed) return;
      const { rank, logger } = this.#options;
      logger?.error({ err: error, rank }, 'A rank of a ring stopped listening.');
      const message = `Expected rank ${rank} to go on listening, but its socket failed: start it again.`;
      this.#failure = new LookalikeError('unavailable', message, { rank }, { cause: error });
      this.#session.lose(this.#failure);
    }
  }

  #receive(header: Buffer | undefined, body: Buffer | undefined): void {
    let frame: Frame;
    try {
      frame = frameOf(header ?? Buffer.alloc(0), body ?? Buffer.alloc(0));
    } catch (error) {
      this.#numDamaged++;
      const message = `A message of the ring came damaged: ${(error as Error).message}`;
      return this.#session.lose(new LookalikeError('unavailable', message, {}, { cause: error }));
    }
    const { type, shard: from, slice: to, incarnation, version, sequence } = frame;
    const neighbour = this.#neighbours.get(from);
    // An address may have belonged to another rank before.
    if (neighbour === undefined || to !== this.#options.rank) return;
    if (type === 'hello') return this.#onHello(from, neighbour, frame);
    if (type !== 'chunk' || incarnation !== this.#generation || version !== neighbour.known?.process) return;
    this.#session.put(from, sequence, frame.body);
  }

  #onHello(from: number, neighbour: Neighbour, frame: Frame): void {
    const { incarnation: generation, version: process, step: attempt, weight } = frame;
    const before = neighbour.known;
    // It has been replaced, and wakes up.
    if (before !== null && attempt < before.attempt) return;
    neighbour.known = { process, attempt, generation };
    // A ring that the one before wanted is not for its successor.
    const wanted =
      before === null || before.process === process ? generation : Math.max(generation, before.generation + 1);
    if (wanted > this.#generation) {
      this.#advance(wanted);
      if (this.#meeting !== null) this.#sayHello(true);
    } else if (weight > 0 && (this.#meeting !== null || this.#isJoined)) this.#sayHello(false, [from]);
    this.#joinIfWhole();
  }

  /** Wants a later ring; whoever is still in an earlier one learns that it is over. */
  #advance(generation: number): void {
    const over = this.#session;
    this.#generation = generation;
    this.#isJoined = false;
    this.#session = this.#newSession();
    over.lose(new LookalikeError('unavailable', 'The ring forms anew, as a rank was lost or started again.'));
  }

  #joinIfWhole(): void {
    if (this.#meeting === null || this.#missing().length > 0) return;
    const { rank, size, logger } = this.#options;
    logger?.info({ rank, size, ring: this.#generation }, 'joined a ring');
    this.#isJoined = true;
    this.#meeting(this.#session);
    this.#meeting = null;
  }

  #missing(): number[] {
    return [...this.#neighbours]
      .filter(([, { link, known }]) => !link.isOpen || known?.generation !== this.#generation)
      .map(([rank]) => rank);
  }

  #newSession(): RingSession {
    const { rank, size } = this.#options;
    const generation = this.#generation;
    return new RingSession({
      rank,
      size,
      deliver: (to, sequence, message) => this.#send(to, { type: 'chunk', incarnation: generation, sequence }, message),
    });
  }

  #away(rank: number): LookalikeError {
    return new LookalikeError('unavailable', `The connection to rank ${rank} of the ring broke.`, { rank });
  }

  #giveUp(silenceMs: number): LookalikeError {
    const foreign = [...this.#neighbours].find(([, { link }]) => link.numForeign >= MIN_FOREIGN_LOOKS);
    if (foreign !== undefined) {
      const [rank] = foreign;
      const message = `Expected rank ${rank} of the ring to hold the key of this trainer's LOOKALIKE_DATA_PLANE_TOKEN, but it announced one of another secret: give every trainer the same LOOKALIKE_DATA_PLANE_TOKEN.`;
      return new LookalikeError('unauthorized', message, { rank });
    }
    const missing = this.#missing();
    const message = `Expected rank ${missing.join(' and ')} to join the ring within ${silenceMs} ms, got nothing: is it alive, and does it know the same secret?`;
    return new LookalikeError('unavailable', message, { missing });
  }
}
