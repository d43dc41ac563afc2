import { readFileSync } from 'node:fs';
import { z } from 'zod';

const Package = z.object({ name: z.string(), version: z.string() });

/** The version in the project's package.json, found upwards from this file: the same in source and in dist. */
export const CODE_VERSION: string = findVersion(new URL('.', import.meta.url));

function findVersion(folder: URL): string {
  try {
    const found = Package.parse(JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')));
    if (found.name === 'lookalike') return found.version;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const parent = new URL('..', folder);
  if (parent.href === folder.href) throw new Error(`Expected a package.json of lookalike above ${import.meta.url}.`);
  return findVersion(parent);
}
