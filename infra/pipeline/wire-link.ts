import { Context, Pair } from 'zeromq';
import { LookalikeError } from '../../contracts/errors.ts';
import { decodeFrame, encodeFrame } from '../../lib/pipeline/frame-bytes.ts';
import type { Link, TensorFrame } from '../../lib/pipeline/link.ts';
import type { RunKeys } from '../sync/curve-keys.ts';
import { listenAt } from '../sync/listen-at.ts';
import { keepDoor } from '../sync/zap.ts';

const OPTIONS = {
  /** The last gradients of a run are sent by a machine that is then done. */
  linger: 5_000,
  /** Processes of one pipeline start at different times, and the door is kept between other work. */
  handshakeInterval: 30_000,
  /** Answered by a thread of its own, whatever the process computes; a machine that is gone or frozen is noticed in seconds. */
  heartbeatInterval: 1_000,
  heartbeatTimeout: 5_000,
} as const;

export interface LinkTraffic {
  /** Bytes of frames, headings included, and frames. */
  sentBytes: number;
  sentFrames: number;
  receivedBytes: number;
  /** Time spent waiting for the other end. */
  waitMs: number;
}

/**
 * One end of a connection between two stages over TCP, encrypted and authenticated both ways with the run's keys. Lossless as long as
 * it lasts: a connection that breaks is not mended, since what was under way is lost, and both ends are told.
 */
export class WireLink implements Link {
  /** Resolves once both ends have proved themselves. @throws LookalikeError `unavailable` */
  readonly connected: Promise<void>;
  /** Resolves once it is closed or broken. */
  readonly ended: Promise<void>;
  readonly traffic: LinkTraffic = { sentBytes: 0, sentFrames: 0, receivedBytes: 0, waitMs: 0 };
  readonly #socket: Pair;
  readonly #name: string;
  #isBroken = false;
  #onBreak: () => void = () => undefined;
  #onEnd: () => void = () => undefined;

  /** A host bound its socket, and anybody may knock. */
  constructor(socket: Pair, name: string, isHost: boolean) {
    this.#socket = socket;
    this.#name = name;
    this.ended = new Promise((resolve) => (this.#onEnd = resolve));
    // Somebody without the key is shown the door; that is followed by a `disconnect` which is not our peer's.
    let numRefused = 0;
    for (const event of ['handshake:error:protocol', 'handshake:error:auth', 'handshake:error:other'] as const) {
      socket.events.on(event, () => (isHost ? numRefused++ : this.close()));
    }
    socket.events.on('disconnect', () => {
      if (numRefused > 0) numRefused--;
      else this.close();
    });
    this.connected = new Promise((resolve, reject) => {
      socket.events.on('handshake', () => resolve());
      this.#onBreak = () => reject(this.#gone());
    });
    this.connected.catch(() => undefined);
  }

  async send(frame: TensorFrame): Promise<void> {
    const parts = encodeFrame(frame);
    await this.#whileWhole(() => this.#socket.send(parts));
    this.traffic.sentBytes += parts[0].length + parts[1].length;
    this.traffic.sentFrames++;
  }

  async receive(): Promise<TensorFrame> {
    const since = performance.now();
    const [heading, numbers] = await this.#whileWhole(() => receiveFrom(this.#socket));
    this.traffic.waitMs += performance.now() - since;
    if (heading === undefined || numbers === undefined) throw this.#gone();
    this.traffic.receivedBytes += heading.length + numbers.length;
    return decodeFrame(heading, numbers);
  }

  /** What was sent still leaves. Whoever waits is told that the other end is gone. */
  close(): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#onBreak();
    this.#onEnd();
    this.#socket.close();
  }

  async #whileWhole<T>(use: () => Promise<T>): Promise<T> {
    if (this.#isBroken) throw this.#gone();
    try {
      return await use();
    } catch (error) {
      // A socket whose peer vanished may say so in other words before its event comes.
      throw this.#gone(error);
    }
  }

  #gone(cause?: unknown): LookalikeError {
    const message = `Expected the connection to ${this.#name} to last, but it broke. Start all stages again.`;
    return new LookalikeError('unavailable', message, {}, { cause });
  }
}

/** Sockets have called themselves readable once without a message; then nothing was taken, and the next one is waited for. */
async function receiveFrom(socket: Pair): Promise<Buffer[]> {
  for (;;) {
    try {
      return await socket.receive();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

/** Where other parts of a run may connect: a doorkeeper for all links that are listened for. */
export interface LinkHost {
  /** Waits for one other end, at a free port. @param name of that end, for people */
  listen(host: string, name: string): Promise<{ url: string; link: WireLink }>;
  close(): void;
}

export async function openLinkHost(keys: RunKeys): Promise<LinkHost> {
  const context = new Context();
  const door = await keepDoor(context, keys.client);
  return {
    async listen(host, name) {
      const socket = new Pair({
        context,
        ...OPTIONS,
        curveServer: true,
        curveSecretKey: keys.server.secretKey,
        zapDomain: 'lookalike',
      });
      const url = await listenAt(socket, host);
      return { url, link: new WireLink(socket, name, true) };
    },
    close: () => door.close(),
  };
}

/** Connects to a link that is listened for. @param name of the other end, for people */
export function connectLink(keys: RunKeys, url: string, name: string): WireLink {
  const socket = new Pair({
    ...OPTIONS,
    ipv6: url.includes('['),
    curveServerKey: keys.server.publicKey,
    curvePublicKey: keys.client.publicKey,
    curveSecretKey: keys.client.secretKey,
  });
  const link = new WireLink(socket, `${name} at ${url}`, false);
  socket.connect(url);
  return link;
}
