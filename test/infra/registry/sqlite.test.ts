import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { openRegistry } from '../../../infra/registry/registry.ts';
import type { SqlRegistry } from '../../../infra/registry/registry.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';
import { changesSuite } from './changes-suite.ts';
import { registrySuite } from './registry-suite.ts';

async function open(dataDir: string): Promise<SqlRegistry> {
  const shape = () => Promise.resolve({ dim: 4, numShards: 2 });
  const registry = await openRegistry({ dataDir, databaseUrl: null }, shape);
  onTestFinished(() => registry.close());
  return registry;
}

for (const suite of [registrySuite, changesSuite]) {
  suite('SQLite', () => {
    const dataDir = temporaryFolder();
    return Promise.resolve(() => open(dataDir));
  });
}

test('processes that start together on a new data directory all find the schema, and lose no write', async () => {
  const dataDir = temporaryFolder();
  const script = join(import.meta.dirname, 'open-and-write.ts');
  const exits = ['1', '2', '3', '4'].map(async (name) => {
    const child = spawn(process.execPath, [script, dataDir, '', name], { stdio: ['ignore', 'ignore', 'inherit'] });
    return ((await once(child, 'exit')) as number[])[0];
  });
  expect(await Promise.all(exits)).toEqual([0, 0, 0, 0]);
  const registry = await open(dataDir);
  expect(await registry.catalogue.catalogues()).toEqual([{ catalogue: 'c', numItems: 40, numExamples: 0 }]);
  expect((await registry.generations.list('c')).map(({ number }) => number)).toEqual([1, 2, 3, 4]);
});

test('a registry that a newer release wrote is refused', async () => {
  const dataDir = temporaryFolder();
  await (await open(dataDir)).close();
  const database = new SqliteDatabase(join(dataDir, 'registry.sqlite'));
  database.exec('update schema_version set version = 99');
  database.close();
  await expect(open(dataDir)).rejects.toThrow(/schema version \d+ or older, found 99/);
});

test('no key is on the disk, only its hash', async () => {
  const dataDir = temporaryFolder();
  const registry = await open(dataDir);
  const { key } = await registry.apiKeys.create('shop', ['read']);
  await registry.close();
  const bytes = readFileSync(join(dataDir, 'registry.sqlite'), 'latin1');
  expect(bytes).toContain('shop');
  expect(bytes).not.toContain(key.split('_').slice(2).join('_'));
});
