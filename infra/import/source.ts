import { stat } from 'node:fs/promises';
import { dirname, extname, resolve } from 'node:path';
import { LookalikeError } from '../../contracts/errors.ts';
import { openCsv } from './csv-source.ts';
import { openFolder } from './folder-source.ts';
import { openJsonl } from './jsonl-source.ts';
import { openParquet } from './parquet-source.ts';
import type { Source } from './source-row.ts';

const BY_EXTENSION: Record<string, (path: string) => Promise<Omit<Source, 'folder'>>> = {
  '.csv': openCsv,
  '.jsonl': openJsonl,
  '.ndjson': openJsonl,
  '.parquet': openParquet,
};

/** @throws LookalikeError `notFound` | `invalidInput` */
export async function openSource(source: string): Promise<Source> {
  const path = resolve(source);
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
    throw new LookalikeError('notFound', `Expected a folder or file to import at ${path}, found nothing.`);
  });
  if (found.isDirectory()) return { ...(await openFolder(path)), folder: path };
  const extension = extname(path).toLowerCase();
  const open = BY_EXTENSION[extension];
  if (open === undefined) {
    throw new LookalikeError(
      'invalidInput',
      `Expected a folder of pictures or a file that ends in ${Object.keys(BY_EXTENSION).join(', ')}, got "${path}".`,
    );
  }
  return { ...(await open(path)), folder: dirname(path) };
}
