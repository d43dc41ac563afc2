import { existsSync } from 'node:fs';
import { access, constants, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LookalikeError } from '../../contracts/errors.ts';
import { createBuilder } from '../../lib/ann/index.ts';
import type { Config } from '../config/env.ts';
import { missing, ok, warning } from './check.ts';
import type { Question } from './check.ts';

/** The LTS line that the project installs with its dependencies; older ones crash in some native modules. */
const NODE_MAJOR = 24;
/** libtensorflow, its build and a catalogue of some thousand pictures fit in this. */
const WANTED_FREE_BYTES = 4e9;
const NEEDED_FREE_BYTES = 1e9;

/** Node, native modules and disk space. */
export function machineQuestions(config: Pick<Config, 'dataDir' | 'cacheDir'>): Question[] {
  return [
    {
      name: 'Node.js',
      why: 'runs everything',
      fix: 'npm ci',
      ask: () => Promise.resolve(judgeNode(process.versions.node)),
    },
    {
      name: 'sharp',
      why: 'decodes pictures',
      fix: 'npm ci',
      async ask() {
        const { default: sharp } = await import('sharp');
        const { info } = await sharp({ create: { width: 2, height: 2, channels: 3, background: 'red' } })
          .jpeg()
          .toBuffer({ resolveWithObject: true });
        return ok(`sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}, wrote a ${info.format}`);
      },
    },
    {
      name: 'index kernels',
      why: 'search; WebAssembly with SIMD and shared memory',
      fix: 'run it by `npx lookalike`, which brings its own Node',
      async ask() {
        const builder = createBuilder({ kind: 'exact', metric: 'l2' }, 2);
        builder.add(Float32Array.of(0, 0));
        builder.add(Float32Array.of(1, 1));
        const nearest = (await builder.build()).search(Float32Array.of(0.9, 0.9), { k: 1 }).rows[0];
        if (nearest !== 1) throw new LookalikeError('missingDependency', `Expected row 1, got ${nearest}.`);
        return ok('load and answer');
      },
    },
    diskQuestion('disk of the data directory', config.dataDir, 'LOOKALIKE_DATA_DIR'),
    diskQuestion('disk of the cache', config.cacheDir, 'LOOKALIKE_CACHE_DIR'),
  ];
}

/** What to say of a Node version such as `24.21.0`. */
export function judgeNode(version: string): ReturnType<typeof ok> {
  const major = Number(version.split('.', 1)[0]);
  if (major >= NODE_MAJOR) return ok(version);
  return missing(`${version}, expected ${NODE_MAJOR} or newer`, 'run it by `npx lookalike`, which brings its own Node');
}

function diskQuestion(name: string, folder: string, variable: string): Question {
  return {
    name,
    why: folder,
    fix: `set ${variable} to a folder that can be written`,
    async ask() {
      const existing = nearestExisting(folder);
      await access(existing, constants.W_OK);
      const { bavail, bsize } = await statfs(existing);
      return judgeSpace(bavail * bsize, variable);
    },
  };
}

/** What to say of this many free bytes. */
export function judgeSpace(freeBytes: number, variable: string): ReturnType<typeof ok> {
  const found = `${(freeBytes / 1e9).toFixed(1)} GB free`;
  const fix = `free some space, or set ${variable} to another disk`;
  if (freeBytes >= WANTED_FREE_BYTES) return ok(found);
  return freeBytes >= NEEDED_FREE_BYTES ? warning(found, fix) : missing(found, fix);
}

/** The folder itself or its nearest parent that exists: what does not exist yet is made there. */
export function nearestExisting(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestExisting(dirname(folder));
}
