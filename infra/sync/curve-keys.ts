import { createHmac, createPrivateKey, createPublicKey } from 'node:crypto';
import { encodeZ85 } from './z85.ts';

/** A CURVE25519 key pair as ZeroMQ takes it: 32 bytes each, in Z85. */
export interface CurveKeyPair {
  publicKey: string;
  secretKey: string;
}
/** What the two sides of a run's traffic prove themselves with: all shards are `server`, all replicas `client`. */
export interface RunKeys {
  server: CurveKeyPair;
  client: CurveKeyPair;
}

/** PKCS #8 of an X25519 private key, up to its 32 bytes. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');

/**
 * The keys of one run, from the secret that all processes of an installation share: nothing secret is stored or sent, and what knows
 * another secret, or belongs to another run, cannot talk.
 */
export function deriveRunKeys(secret: string, runId: string): RunKeys {
  return { server: derive(secret, 'server', runId), client: derive(secret, 'client', runId) };
}

function derive(secret: string, role: keyof RunKeys, runId: string): CurveKeyPair {
  // The role holds no slash, so that no two pairs of role and run make the same text.
  const seed = createHmac('sha256', secret).update(`lookalike/curve/${role}/${runId}`).digest();
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' });
  const { x = '' } = createPublicKey(key).export({ format: 'jwk' });
  return { publicKey: encodeZ85(Buffer.from(x, 'base64url')), secretKey: encodeZ85(seed) };
}
