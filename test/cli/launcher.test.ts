import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
let checkout: string;

/** A checkout with the real launcher and dependencies, and a program that says where it runs. */
beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'lookalike-launcher-'));
  mkdirSync(join(checkout, 'bin'));
  cpSync(join(root, 'bin/lookalike.js'), join(checkout, 'bin/lookalike.js'));
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
  writeFileSync(join(checkout, 'package.json'), '{"type":"module"}');
});
afterEach(() => rmSync(checkout, { recursive: true, force: true }));

const launch = (node: string, ...args: string[]) =>
  spawnSync(node, [join(checkout, 'bin/lookalike.js'), ...args], { encoding: 'utf8' });

function build(program: string): void {
  mkdirSync(join(checkout, 'dist/cli'), { recursive: true });
  writeFileSync(join(checkout, 'dist/cli/main.js'), program);
}

/** A Node older than 24 on this machine, if there is one. */
function olderNode(): string | undefined {
  for (const path of ['/usr/local/bin/node', '/usr/bin/node']) {
    try {
      const major = Number(execFileSync(path, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' }));
      if (major >= 20 && major < 24) return path;
    } catch {
      // Not there.
    }
  }
  return undefined;
}

test('an unbuilt checkout says what to run', () => {
  const { status, stderr } = launch(process.execPath, 'up');
  expect(status).toBe(1);
  expect(stderr).toMatch(/npm run build/);
});

test('arguments and exit code pass through', () => {
  build('console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7;');
  const { status, stdout } = launch(process.execPath, 'search', '--k', '3');
  expect(JSON.parse(stdout)).toEqual(['search', '--k', '3']);
  expect(status).toBe(7);
});

test.skipIf(olderNode() === undefined)('an older Node hands over to Node 24', () => {
  build('console.log(process.versions.node); process.exitCode = 7;');
  const { status, stdout } = launch(olderNode()!, 'up');
  expect(stdout).toMatch(/^24\./);
  expect(status).toBe(7);
});
