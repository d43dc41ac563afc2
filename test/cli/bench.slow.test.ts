import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

const main = resolve(import.meta.dirname, '../../cli/main.ts');
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lookalike-bench-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** As a user types it, in a data directory of its own. */
function bench(...args: string[]) {
  return spawnSync(process.execPath, [main, 'bench', 'ann', ...args], {
    encoding: 'utf8',
    env: { ...process.env, LOOKALIKE_DATA_DIR: join(folder, 'data') },
  });
}

test('--json prints the result as one line and nothing else on stdout', () => {
  const { status, stdout } = bench(
    '--n',
    '300',
    '--dim',
    '8',
    '--kinds',
    'exact',
    '--python',
    'none',
    '--quick',
    '--threads',
    '1',
    '--json',
  );
  expect(status).toBe(0);
  const result = JSON.parse(stdout) as { data: unknown; rows: { name: string; recall: number }[]; peers: string };
  expect(result.data).toMatchObject({ numRows: 300, dim: 8 });
  expect(result.rows.find(({ name }) => name === 'exact')?.recall).toBe(1);
  expect(result.peers).toMatch(/^No peers/);
});

test('a file that cannot be read as vectors fails with what was expected and what came', () => {
  const path = join(folder, 'vectors.npy');
  writeFileSync(path, 'no array');
  const { status, stdout, stderr } = bench('--vectors', path, '--python', 'none', '--json');
  expect(status).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'invalidInput' } });
  expect(stderr).toMatch(/NumPy file.*got "no arr/);
});

test('an unknown kind is wrong usage', () => {
  const unknown = bench('--kinds', 'exact,magic');
  expect(unknown.status).toBe(2);
  expect(unknown.stderr).toMatch(/Expected kinds of exact.*got "magic"/);
});

test('options that contradict each other fail', () => {
  const both = bench('--vectors', 'a.npy', '--catalogue', 'shop');
  expect(both.status).toBe(1);
  expect(both.stderr).toMatch(/--vectors or --catalogue, got both/);
});

test('a catalogue that nothing serves is a sentence', () => {
  const { status, stderr } = bench('--catalogue', 'shop', '--python', 'none');
  expect(status).toBe(1);
  expect(stderr).toMatch(/serves the catalogue "shop", found none/);
});
