#!/usr/bin/env node
// Runs the built program on Node 24, whichever Node (20.19+, 22.13+, 24+) started this file: the `node` package, a dependency,
// brings the binary. Plain JavaScript, because it must also run where nothing is built yet.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { URL, fileURLToPath } from 'node:url';

const REQUIRED_MAJOR = 24;
const main = new URL('../dist/cli/main.js', import.meta.url);

if (!existsSync(main)) {
  fail(`Expected the built program at ${fileURLToPath(main)}, found none. Run \`npm ci\` or \`npm run build\` first.`);
} else if (Number(process.versions.node.split('.')[0]) >= REQUIRED_MAJOR) {
  await import(main.href);
} else {
  const node = bundledNode();
  if (node === undefined) {
    fail(
      `Expected Node ${REQUIRED_MAJOR} or the \`node\` package, got Node ${process.versions.node} alone. Run \`npm ci\`.`,
    );
  } else {
    runUnder(node);
  }
}

function bundledNode() {
  try {
    const folder = dirname(createRequire(import.meta.url).resolve('node/package.json'));
    const path = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

function runUnder(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal sends Ctrl-C to both processes; the child decides when it is done. Other signals are passed on.
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`Could not start ${node}: ${error.message}.`));
  child.on('exit', (code, signal) => process.exit(signal === null ? code : 128 + constants.signals[signal]));
}

function fail(message) {
  process.stderr.write(`lookalike: ${message}\n`);
  process.exitCode = 1;
}
