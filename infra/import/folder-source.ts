import { readdir } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Source, SourceRow } from './source-row.ts';

/** What people mean as pictures: those that cannot be decoded are reported, other files are passed over. */
const PICTURES = ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.avif', '.tif', '.tiff', '.bmp', '.heic'];

/** Pictures below a folder: the id is the relative path, the category the folder that holds it (none at the top). */
export async function openFolder(root: string): Promise<Omit<Source, 'folder'>> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true });
  const ids = entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .filter((entry) => PICTURES.includes(extname(entry.name).toLowerCase()))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
  if (ids.length === 0) {
    throw new LookalikeError('invalidInput', `Expected pictures (${PICTURES.join(', ')}) in ${root}, found none.`);
  }
  return { rows: rowsOf(ids), total: ids.length };
}

// eslint-disable-next-line @typescript-eslint/require-await -- all sources are read the same way
async function* rowsOf(ids: string[]): AsyncGenerator<SourceRow> {
  for (const [index, id] of ids.entries()) {
    const folder = id.slice(0, Math.max(0, id.lastIndexOf('/')));
    yield { row: index + 1, value: { id, image: id, ...(folder !== '' && { category: folder }) } };
  }
}
