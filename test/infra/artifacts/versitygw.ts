import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../../infra/config/env.ts';

type S3 = Extract<Config['artifacts'], { kind: 's3' }>;

/** On PATH or where `go install` puts it, unless VERSITYGW names it. */
const CANDIDATES = [process.env['VERSITYGW'], 'versitygw', join(homedir(), 'go', 'bin', 'versitygw')];

/** The command that installs the S3-compatible server. */
export const INSTALL_VERSITYGW = 'go install github.com/versity/versitygw/cmd/versitygw@v1.8.0';

/** Its binary, if this machine has it. */
export const VERSITYGW = CANDIDATES.find((path) => path && spawnSync(path, ['--version']).status === 0);

/** Starts a throw-away server over a folder, with one bucket. */
export async function startS3(folder: string): Promise<{ where: S3; stop: () => Promise<void> }> {
  const bucket = 'pictures';
  mkdirSync(join(folder, bucket), { recursive: true });
  const accessKeyId = 'test-access';
  const secretAccessKey = 'test-secret-key';
  const port = await freePort();
  const args = ['--port', `127.0.0.1:${port}`, '--access', accessKeyId, '--secret', secretAccessKey, 'posix', folder];
  const server = spawn(VERSITYGW ?? 'versitygw', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const endpoint = `http://127.0.0.1:${port}`;
  while (!(await fetch(endpoint).catch(() => undefined))) {
    if (server.exitCode !== null) throw new Error(`versitygw ended with ${server.exitCode}.`);
    await sleep(20);
  }
  return {
    where: {
      kind: 's3',
      bucket,
      prefix: 'deep/prefix',
      endpoint,
      region: 'us-east-1',
      accessKeyId,
      secretAccessKey,
      sessionToken: null,
      cacheBytes: 1024 ** 3,
    },
    async stop() {
      server.kill();
      if (server.exitCode === null) await once(server, 'exit');
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
