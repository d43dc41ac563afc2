import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { start } from '../../api/main.ts';
import { loadConfig } from '../../infra/config/env.ts';
import type { Config } from '../../infra/config/env.ts';
import { temporaryFolder } from '../infra/artifacts/temporary-folder.ts';

const silent = pino({ level: 'silent' });

function configFor(port: number): Config {
  return loadConfig({ LOOKALIKE_DATA_DIR: temporaryFolder(), LOOKALIKE_PORT: String(port) });
}
/** What SQLite keeps beside its database while somebody has it open. */
const openDatabases = (config: Config): string[] => readdirSync(config.dataDir).filter((name) => /-wal$/.test(name));

test('an API that cannot listen closes what it has opened and says why', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  onTestFinished(() => void taken.close());
  const config = configFor((taken.address() as AddressInfo).port);
  await expect(start(config, silent)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  expect(readdirSync(config.dataDir)).toContain('registry.sqlite');
  expect(openDatabases(config)).toEqual([]);
});

test('an API that runs keeps its stores open until it is closed', async () => {
  const config = configFor(0);
  const api = await start(config, silent);
  expect((await fetch(`${api.url}/health/live`)).status).toBe(200);
  expect(openDatabases(config)).toHaveLength(1);
  await api.close();
  expect(openDatabases(config)).toEqual([]);
});
