import { lookup } from 'node:dns/promises';
import type { Pair, Pull, Router } from 'zeromq';
import { LookalikeError } from '../../contracts/errors.ts';

/**
 * Listens at any free port of an address of this machine.
 * @returns `tcp://host:port`
 * @throws LookalikeError `unavailable`, and the socket is closed
 */
export async function listenAt(socket: Router | Pull | Pair, host: string): Promise<string> {
  try {
    const { address, family } = await addressOf(host);
    if (family === 6) socket.ipv6 = true;
    await socket.bind(`tcp://${family === 6 ? `[${address}]` : address}:*`);
    return socket.lastEndpoint ?? '';
  } catch (error) {
    socket.close();
    if (error instanceof LookalikeError) throw error;
    throw new LookalikeError('unavailable', `Expected to listen at ${host}.`, {}, { cause: error });
  }
}

/** ZeroMQ listens at numeric addresses only. */
async function addressOf(host: string): Promise<{ address: string; family: number }> {
  try {
    return await lookup(host);
  } catch (error) {
    const message = `Expected LOOKALIKE_DATA_PLANE_HOST to be an address of this machine, got "${host}".`;
    throw new LookalikeError('unavailable', message, {}, { cause: error });
  }
}
