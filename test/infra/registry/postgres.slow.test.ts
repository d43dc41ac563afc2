import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openRegistry } from '../../../infra/registry/registry.ts';
import type { SqlRegistry } from '../../../infra/registry/registry.ts';
import { changesSuite } from './changes-suite.ts';
import { POSTGRES_BIN, startPostgres } from './postgres.ts';
import type { TestPostgres } from './postgres.ts';
import { registrySuite } from './registry-suite.ts';

const skipped = POSTGRES_BIN === undefined;

async function open(databaseUrl: string): Promise<SqlRegistry> {
  const shape = () => Promise.resolve({ dim: 4, numShards: 2 });
  const registry = await openRegistry({ dataDir: '/nonexistent', databaseUrl }, shape);
  onTestFinished(() => registry.close());
  return registry;
}

describe.skipIf(skipped)(`PostgreSQL${skipped ? ' (skipped: apt-get install postgresql)' : ''}`, () => {
  let server: TestPostgres;
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.stop());

  for (const suite of [registrySuite, changesSuite]) {
    suite('PostgreSQL', async () => {
      const url = await server.createDatabase();
      return () => open(url);
    });
  }

  test('processes that start together on an empty database all find the schema, and lose no write', async () => {
    const url = await server.createDatabase();
    const script = join(import.meta.dirname, 'open-and-write.ts');
    const exits = ['1', '2', '3', '4'].map(async (name) => {
      const child = spawn(process.execPath, [script, '', url, name], { stdio: ['ignore', 'ignore', 'inherit'] });
      return ((await once(child, 'exit')) as number[])[0];
    });
    expect(await Promise.all(exits)).toEqual([0, 0, 0, 0]);
    const registry = await open(url);
    expect(await registry.catalogue.catalogues()).toEqual([{ catalogue: 'c', numItems: 40, numExamples: 0 }]);
    expect((await registry.generations.list('c')).map(({ number }) => number)).toEqual([1, 2, 3, 4]);
  });
});

test('a database that does not answer is "unavailable", which is tried again', async () => {
  await expect(open('postgres://nobody@127.0.0.1:1/none')).rejects.toMatchObject({ code: 'unavailable' });
});
