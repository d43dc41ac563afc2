import { Dealer } from 'zeromq';
import { isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import type { Frame, FrameHeader } from '../../lib/sync/frames.ts';
import { decodeError } from '../data-plane/errors-on-the-wire.ts';
import type { Logger } from '../log/logger.ts';
import type { RunKeys } from './curve-keys.ts';
import { frameOf, partsOf } from './frame-parts.ts';
import type { FrameParts } from './frame-parts.ts';
import { messagesOf } from './messages.ts';
import { readUrl } from './shard-address.ts';
import { TCP_OPTIONS } from './socket-options.ts';

export interface LinkOptions {
  /** Which shard this leads to. */
  shard: number;
  keys: RunKeys;
  /** Where the shard is now; undefined while nobody knows. Asked again whenever it seems to be elsewhere. */
  locate: () => Promise<string | undefined>;
  maxMessageBytes: number;
  /** Without an answer for this long, the request is sent again: first as before, then, if nothing came, on new connections. Doubles each time. */
  attemptMs: number;
  /** Without any answer to a request for this long, the shard is given up. */
  silenceMs: number;
  /** Both are longer by what request and answer take at this rate. */
  slowestBytesPerSecond: number;
  onTraffic: (sentBytes: number, receivedBytes: number) => void;
  logger?: Logger;
}

export type Question = Partial<FrameHeader> & Pick<FrameHeader, 'type'>;

export interface AskOptions {
  /** Size of the answer, where it is large. */
  answerBytes?: number;
  signal?: AbortSignal;
}

interface Waiting {
  parts: FrameParts;
  /** What the bytes may take. */
  travelMs: number;
  attempts: number;
  since: number;
  lastWord: number;
  timer: NodeJS.Timeout | undefined;
  resolve: (frame: Frame) => void;
  reject: (error: LookalikeError) => void;
}

/** Pauses before a lost connection is made anew; the last one from then on. */
const RECONNECT_MS = [20, 50, 100, 200, 400] as const;
/** Before a request is repeated whose answer, or itself, was damaged. */
const DAMAGED_MS = 20;
/** Of `attemptMs`: so long a request may wait for a shard that answers "not yet" before one looks whether it is still the one. */
const ATTEMPTS_PER_LOOK = 2;
/** So many looks in a row must have found a shard of another key. */
const MIN_FOREIGN_LOOKS = 3;

/**
 * Requests to one shard over an unreliable way. Invariant: each is settled exactly once, by the answer with its number, however
 * often it was sent and over however many connections; that the shard takes a repeated one as one is the shard's promise.
 */
export class ShardLink {
  readonly #options: LinkOptions;
  readonly #waiting = new Map<number, Waiting>();
  #sequence = 0;
  #socket: Dealer | null = null;
  #url = '';
  #heardAt = 0;
  #lookedAt = 0;
  #numForeign = 0;
  #numLost = 0;
  #reopening: NodeJS.Timeout | undefined;
  readonly #watch: NodeJS.Timeout;
  #isClosed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#watch = setInterval(() => void this.#lookAgain(), options.attemptMs);
    void this.#open();
  }

  /**
   * @throws the shard's own LookalikeError; `unavailable` when it stays silent; `unauthorized` when that is as it has another secret; `cancelled`
   */
  async ask(question: Question, body: Uint8Array, { answerBytes = 0, signal }: AskOptions = {}): Promise<Frame> {
    const { shard, slowestBytesPerSecond } = this.#options;
    if (signal?.aborted || this.#isClosed) throw cancelled();
    this.#sequence = (this.#sequence + 1) >>> 0;
    const sequence = this.#sequence;
    const parts = partsOf({ ...question, shard, sequence }, body);
    const travelMs = (1000 * (body.length + answerBytes)) / slowestBytesPerSecond;
    const since = performance.now();
    const request = { parts, travelMs, attempts: 0, since, lastWord: since, timer: undefined };
    let onAbort: (() => void) | undefined;
    try {
      return await new Promise<Frame>((resolve, reject) => {
        onAbort = (): void => reject(cancelled());
        signal?.addEventListener('abort', onAbort, { once: true });
        this.#waiting.set(sequence, { ...request, resolve, reject });
        this.#send(sequence);
      });
    } finally {
      if (onAbort !== undefined) signal?.removeEventListener('abort', onAbort);
      clearTimeout(this.#waiting.get(sequence)?.timer);
      this.#waiting.delete(sequence);
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#reopening);
    clearInterval(this.#watch);
    this.#drop();
    for (const { reject } of this.#waiting.values()) reject(cancelled());
  }

  #send(sequence: number): void {
    const waiting = this.#waiting.get(sequence);
    if (waiting === undefined) return;
    const { attemptMs, silenceMs, onTraffic } = this.#options;
    clearTimeout(waiting.timer);
    const sentAt = performance.now();
    const left = waiting.lastWord + silenceMs + waiting.travelMs - sentAt;
    const patience = (attemptMs + waiting.travelMs) * 2 ** waiting.attempts;
    waiting.timer = setTimeout(() => this.#onSilence(sequence, sentAt), Math.max(0, Math.min(patience, left)));
    if (this.#socket === null) return;
    // With `sendTimeout` 0 it leaves at once or not at all, and then goes again in time.
    this.#socket.send(waiting.parts).then(
      () => onTraffic(waiting.parts[0].length + waiting.parts[1].length, 0),
      () => undefined,
    );
  }

  #onSilence(sequence: number, sentAt: number): void {
    const waiting = this.#waiting.get(sequence);
    if (waiting === undefined) return;
    const limitMs = this.#options.silenceMs + waiting.travelMs;
    if (performance.now() >= waiting.lastWord + limitMs - 1) return waiting.reject(this.#giveUp(limitMs));
    waiting.attempts++;
    // Who speaks, even of something else, is connected; and who is slow would be slower over a new connection.
    if (this.#heardAt > sentAt || waiting.attempts === 1) this.#send(sequence);
    else {
      this.#lose(this.#socket);
      // Leaves with the next connection; should there be none, its time runs out.
      this.#send(sequence);
    }
  }

  /** The log learns the address; who asked learns what to do. */
  #giveUp(limitMs: number): LookalikeError {
    const { shard, logger } = this.#options;
    logger?.warn({ shard, url: this.#url, limitMs, numForeign: this.#numForeign }, 'A parameter shard is given up.');
    if (this.#numForeign >= MIN_FOREIGN_LOOKS) {
      const message = `Expected parameter shard ${shard} to hold the key of this trainer's LOOKALIKE_DATA_PLANE_TOKEN, but it announced one of another secret: give every trainer the same LOOKALIKE_DATA_PLANE_TOKEN.`;
      return new LookalikeError('unauthorized', message, { shard });
    }
    const which = this.#url === '' ? `${shard}, that nobody has announced,` : `${shard}`;
    const message = `Expected parameter shard ${which} to answer within ${Math.round(limitMs)} ms, got nothing: is it alive, and does it know the same secret?`;
    return new LookalikeError('unavailable', message, { shard });
  }

  async #open(): Promise<void> {
    const announced = await this.#options.locate().catch(() => undefined);
    if (this.#isClosed || this.#socket !== null) return;
    this.#lookedAt = performance.now();
    if (announced === undefined) {
      this.#numForeign = 0;
      return this.#lose(null);
    }
    const { server, client } = this.#options.keys;
    const { url, isForeign } = readUrl(announced, server);
    this.#url = announced;
    this.#numForeign = isForeign ? this.#numForeign + 1 : 0;
    // Perhaps one of a host that is being put right: its successor is announced in its place.
    if (isForeign) return this.#lose(null);
    const socket = new Dealer({
      ...TCP_OPTIONS,
      ipv6: url.includes('['),
      sendTimeout: 0,
      curveServerKey: server.publicKey,
      curvePublicKey: client.publicKey,
      curveSecretKey: client.secretKey,
      maxMessageSize: this.#options.maxMessageBytes,
    });
    this.#socket = socket;
    for (const event of ['disconnect', 'connect:retry', 'handshake:error:protocol', 'handshake:error:auth'] as const) {
      socket.events.on(event, () => this.#lose(socket));
    }
    try {
      socket.connect(url);
      for (const sequence of this.#waiting.keys()) this.#send(sequence);
      for await (const [header, body] of messagesOf(socket)) this.#receive(header, body);
    } catch {
      this.#lose(socket);
    }
  }

  /**
   * A shard that went without closing its connections may have a successor by now; and so may one that says "not yet", which it does
   * for ever when only those who watch over it take it for lost.
   */
  async #lookAgain(): Promise<void> {
    const socket = this.#socket;
    const [oldest] = this.#waiting.values();
    if (socket === null || oldest === undefined) return;
    const now = performance.now();
    const { attemptMs } = this.#options;
    const isDue = now - Math.max(oldest.since, this.#lookedAt) >= ATTEMPTS_PER_LOOK * attemptMs;
    if (now - this.#heardAt < attemptMs && !isDue) return;
    this.#lookedAt = now;
    const url = await this.#options.locate().catch(() => undefined);
    if (url !== undefined && url !== this.#url) this.#lose(socket);
  }

  /** Looks for the shard again, unless another connection has taken this one's place. */
  #lose(socket: Dealer | null): void {
    if (this.#isClosed || this.#socket !== socket || this.#reopening !== undefined) return;
    this.#drop();
    const pause = RECONNECT_MS[Math.min(this.#numLost++, RECONNECT_MS.length - 1)];
    this.#reopening = setTimeout(() => {
      this.#reopening = undefined;
      void this.#open();
    }, pause);
  }

  #drop(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  #receive(header: Buffer | undefined, body: Buffer | undefined): void {
    this.#heardAt = performance.now();
    this.#numLost = 0;
    if (header === undefined || body === undefined) return;
    this.#options.onTraffic(0, header.length + body.length);
    let frame: Frame;
    try {
      frame = frameOf(header, body);
    } catch {
      // Whose answer it was is not to be trusted.
      for (const sequence of this.#waiting.keys()) this.#sendLater(sequence);
      return;
    }
    const waiting = this.#waiting.get(frame.sequence);
    if (waiting === undefined) return;
    waiting.lastWord = this.#heardAt;
    if (frame.type !== 'error') return waiting.resolve(frame);
    const error = decodeError(0, Buffer.from(frame.body).toString(), `parameter shard ${this.#options.shard}`);
    waiting.attempts = 0;
    if (error.code === 'timeout') this.#send(frame.sequence);
    else if (error.code === 'corruptArtifact' || error.code === 'overloaded') this.#sendLater(frame.sequence);
    else waiting.reject(isLookalikeError(error) ? error : new LookalikeError('unavailable', String(error)));
  }

  #sendLater(sequence: number): void {
    const waiting = this.#waiting.get(sequence);
    if (waiting === undefined) return;
    clearTimeout(waiting.timer);
    waiting.timer = setTimeout(() => this.#send(sequence), DAMAGED_MS);
  }
}

function cancelled(): LookalikeError {
  return new LookalikeError('cancelled', 'The request to a parameter shard was called off.');
}
