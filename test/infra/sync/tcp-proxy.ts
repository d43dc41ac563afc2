import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

type Direction = 'up' | 'down';

/** A way to a shard that can go wrong. `up` is what the client sends. */
export interface TcpProxy {
  readonly url: string;
  /** Bytes forwarded so far. */
  readonly bytes: Readonly<Record<Direction, number>>;
  /** Keeps what goes this way until it is released. */
  hold(direction: Direction): void;
  release(): void;
  /** Reads nothing more, so that what is sent fills all that lies between. */
  pause(): void;
  resume(): void;
  /** Each chunk arrives this much later, in order. */
  delay(milliseconds: number): void;
  /** Turns one bit of what goes this way next. */
  damageNext(direction: Direction): void;
  /** Ends every connection, at once or in the middle of what is sent after so many more bytes up; resolves then. */
  cut(afterBytes?: number): Promise<void>;
  close(): Promise<void>;
}

export async function startTcpProxy(target: string): Promise<TcpProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const bytes = { up: 0, down: 0 };
  const damage = { up: false, down: false };
  const held: Record<Direction, (() => void)[] | null> = { up: null, down: null };
  let delayMs = 0;
  let cutAt = Infinity;
  let onCut = Promise.withResolvers<void>();

  const cutNow = (): void => {
    cutAt = Infinity;
    for (const socket of sockets) socket.destroy();
    onCut.resolve();
  };

  function forward(direction: Direction, from: Socket, to: Socket): void {
    sockets.add(from);
    from.on('data', (chunk: Buffer) => {
      if (damage[direction]) {
        chunk[chunk.length >> 1]! ^= 1;
        damage[direction] = false;
      }
      const write = (): void => {
        bytes[direction] += chunk.length;
        if (direction === 'up' && bytes.up >= cutAt) return cutNow();
        to.write(chunk);
      };
      const later = held[direction];
      if (later !== null) later.push(write);
      else if (delayMs > 0) setTimeout(write, delayMs);
      else write();
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  }

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    forward('up', client, upstream);
    forward('down', upstream, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    url: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bytes,
    hold(direction) {
      held[direction] ??= [];
    },
    release() {
      for (const direction of ['up', 'down'] as const) {
        const writes = held[direction] ?? [];
        held[direction] = null;
        for (const write of writes) write();
      }
    },
    pause() {
      for (const socket of sockets) socket.pause();
    },
    resume() {
      for (const socket of sockets) socket.resume();
    },
    delay(milliseconds) {
      delayMs = milliseconds;
    },
    damageNext(direction) {
      damage[direction] = true;
    },
    cut(afterBytes) {
      onCut = Promise.withResolvers();
      if (afterBytes === undefined) cutNow();
      else cutAt = bytes.up + afterBytes;
      return onCut.promise;
    },
    async close() {
      cutNow();
      server.close();
      await once(server, 'close');
    },
  };
}
