import { join } from 'node:path';
import { pino } from 'pino';
import { expect, inject, it } from 'vitest';
import { loadConfig } from '../../infra/config/env.ts';
import { runWorkers } from '../../workers/run.ts';
import { temporaryFolder } from '../infra/artifacts/temporary-folder.ts';

it('a process whose second worker cannot be made shuts the first down, closes all it opened and says why', async () => {
  const folder = temporaryFolder();
  const config = loadConfig({ LOOKALIKE_DATA_DIR: folder, TEMPORAL_ADDRESS: inject('temporalAddress') });
  const logged: string[] = [];
  const logger = pino({ level: 'error' }, { write: (line: string) => void logged.push(line) });
  const closed: string[] = [];
  const { signal } = new AbortController();
  const running = runWorkers({ config, logger, signal, fail: (error) => expect.unreachable(String(error)) }, () => ({
    workers: [
      { taskQueue: 'can-be-made', activities: { nothing: () => Promise.resolve() } },
      { taskQueue: 'cannot-be-made', workflowBundle: { codePath: join(folder, 'no-such-bundle.js') } },
    ],
    withdraw: () => Promise.resolve(void closed.push('withdraw')),
    close: () => Promise.resolve(void closed.push('close')),
  }));
  await expect(running).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/"cannot-be-made".*no-such-bundle/) as string,
  });
  expect(closed).toEqual(['withdraw', 'close']);
  // Closing a connection that a worker still holds would fail, and be logged as a step of the shutdown that did.
  expect(logged).toEqual([]);
});
