import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import { throwIfCancelled } from './progress.ts';

type CacheConfig = Pick<Config, 'cacheDir'>;

/** Where the output of provisioning command `what` goes. */
export function logFile(config: CacheConfig, what: string): string {
  return join(config.cacheDir, 'logs', `${what}.log`);
}

/**
 * Runs `work` while no other process of this user runs the same `name`.
 * The lock is an exclusive SQLite transaction: the operating system releases it with its holder, even after kill -9,
 * so there is no stale lock to guess about.
 */
export async function withCacheLock<T>(
  config: CacheConfig,
  name: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
  onWaiting: () => void = () => {},
): Promise<T> {
  const folder = join(config.cacheDir, 'locks');
  await mkdir(folder, { recursive: true });
  const lock = new Database(join(folder, `${name}.lock`), { timeout: 0 });
  try {
    for (let isFirst = true; !tryLock(lock); isFirst = false) {
      if (isFirst) onWaiting();
      throwIfCancelled(signal);
      await sleep(250);
    }
    return await work();
  } finally {
    lock.close();
  }
}

function tryLock(lock: Database.Database): boolean {
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if ((error as { code?: string }).code?.startsWith('SQLITE_BUSY')) return false;
    throw error;
  }
}

/**
 * An empty folder in the cache for the unfinished work of `name`, gone afterwards. It is on the file system of its
 * destination, so that finished work moves there by one rename. The caller holds the lock of `name`: what a killed
 * process left here is deleted, not continued.
 */
export async function withScratch<T>(
  config: CacheConfig,
  name: string,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = join(config.cacheDir, 'partial', name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Lower-case hex SHA-256 of a file. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** @throws LookalikeError `corruptArtifact` */
export async function expectSha256(path: string, expected: string): Promise<void> {
  const actual = await sha256File(path);
  if (actual === expected) return;
  throw new LookalikeError(
    'corruptArtifact',
    `Expected ${path} to have SHA-256 ${expected}, got ${actual}. Delete it.`,
  );
}
