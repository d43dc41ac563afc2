import { readdirSync } from 'node:fs';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { loadConfig } from '../../infra/config/env.ts';
import { inTurn, runWorkers } from '../../workers/run.ts';
import { temporaryFolder } from '../infra/artifacts/temporary-folder.ts';

test('a shutdown step that fails is logged and the ones after it are taken, in order', async () => {
  const taken: string[] = [];
  const logged: unknown[] = [];
  const away = new Error('the registry is away');
  await inTurn(
    { error: (entry: unknown) => void logged.push(entry) },
    {
      withdraw: () => Promise.reject(away),
      absent: undefined,
      close: () => Promise.resolve(void taken.push('close')),
      stores: () => Promise.resolve(void taken.push('stores')),
    },
  );
  expect(taken).toEqual(['close', 'stores']);
  expect(logged).toEqual([{ err: away, step: 'withdraw' }]);
});

test('a worker that ends before Temporal answers closes its stores', async () => {
  const config = loadConfig({ LOOKALIKE_DATA_DIR: temporaryFolder(), TEMPORAL_ADDRESS: '127.0.0.1:1' });
  const openDatabases = (): string[] => readdirSync(config.dataDir).filter((name) => name.endsWith('-wal'));
  const stop = new AbortController();
  const seen: string[][] = [];
  // The first thing that is said while it waits.
  const logger = pino(
    { level: 'warn' },
    { write: () => stop.signal.aborted || (seen.push(openDatabases()), stop.abort()) },
  );
  const fail = (): never => expect.unreachable();
  const running = runWorkers({ config, logger, signal: stop.signal, fail }, () => expect.unreachable());
  await expect(running).rejects.toMatchObject({ name: 'AbortError' });
  expect(seen).toEqual([['registry.sqlite-wal']]);
  expect(openDatabases()).toEqual([]);
});
