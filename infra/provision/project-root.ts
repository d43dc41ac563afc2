import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The folder that holds the project's package.json, from the sources as from `dist/`: for files tsc does not copy. */
export function projectRoot(from: string = import.meta.dirname): string {
  if (existsSync(join(from, 'package-lock.json'))) return from;
  const parent = dirname(from);
  if (parent === from) throw new Error('Expected a package-lock.json above this file, found none.');
  return projectRoot(parent);
}
