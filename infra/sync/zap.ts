import { Router } from 'zeromq';
import type { Context } from 'zeromq';
import type { CurveKeyPair } from './curve-keys.ts';
import { messagesOf } from './messages.ts';
import { encodeZ85 } from './z85.ts';

/** ZeroMQ's RFC 27: where a context asks whether a peer may connect. */
const ZAP_ADDRESS = 'inproc://zeromq.zap.01';
const VERSION = '1.0';

export interface Doorkeeper {
  /** Peers that were turned away. */
  refused(): number;
  /** Resolves once closed; rejects when it fails: then nobody else gets in. */
  readonly ended: Promise<void>;
  close(): void;
}

/** Lets only the holder of `client`'s key connect to the servers of this context, which has no other doorkeeper. */
export async function keepDoor(context: Context, client: Pick<CurveKeyPair, 'publicKey'>): Promise<Doorkeeper> {
  const door = new Router({ context, linger: 0 });
  await door.bind(ZAP_ADDRESS);
  let refused = 0;

  async function answer(): Promise<void> {
    for await (const parts of messagesOf(door)) {
      const [from, empty, , request, , , , mechanism, key] = parts;
      if (from === undefined || empty === undefined || request === undefined) continue;
      const isClient = mechanism?.toString() === 'CURVE' && key?.length === 32 && encodeZ85(key) === client.publicKey;
      if (!isClient) refused++;
      const verdict = isClient ? ['200', 'OK', 'client', ''] : ['400', 'not a client of this run', '', ''];
      await door.send([from, empty, VERSION, request, ...verdict]);
    }
  }
  return { refused: () => refused, ended: answer(), close: () => door.close() };
}
