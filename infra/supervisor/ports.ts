import { createServer } from 'node:net';
import { LookalikeError } from '../../contracts/errors.ts';

/**
 * The port to listen on: `port` itself if it is free, any free one when it is 0.
 * @param setting the environment variable a person changes when it is taken
 * @throws LookalikeError `conflict`
 */
export async function claimPort(host: string, port: number, setting: string): Promise<number> {
  try {
    return await probe(host, port);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') throw error;
    const reality =
      code === 'EADDRINUSE' ? 'another program listens there' : `this user may not listen there (${code})`;
    throw new LookalikeError(
      'conflict',
      `Expected ${host}:${port} to be free, but ${reality}. Set ${setting} to another port, or to 0 for any free one.`,
      { host, port, setting },
    );
  }
}

function probe(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
}
