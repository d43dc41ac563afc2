import { createHash } from 'node:crypto';
import type { CurveKeyPair } from './curve-keys.ts';

type PublicKey = Pick<CurveKeyPair, 'publicKey'>;

/**
 * `tcp://host:port#mark`, as a shard, or a rank of a ring, announces itself. The mark belongs to the key by which it proves itself: who derives another
 * key knows another secret, and learns so before a handshake, which ends the same way as with a shard that is being stopped. The
 * mark helps to guess the secret no more than a recorded handshake does.
 */
export function announcedUrl(url: string, server: PublicKey): string {
  return `${url}#${markOf(server)}`;
}

/** Where to connect to; and whether the other end surely has another key than this one, which an address without a mark never says. */
export function readUrl(announced: string, server: PublicKey): { url: string; isForeign: boolean } {
  const [url = '', mark] = announced.split('#');
  return { url, isForeign: mark !== undefined && mark !== markOf(server) };
}

function markOf({ publicKey }: PublicKey): string {
  return createHash('sha256').update(publicKey).digest('hex').slice(0, 8);
}
