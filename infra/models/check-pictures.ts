import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

/** Real pictures that come with the project's own dependencies: a face and a piece of fruit. */
const PICTURES = ['emoji-datasource-google/img/google/64/1f600.png', 'emoji-datasource-google/img/google/64/1f34e.png'];

/** Pictures to check an export on before any catalogue exists. */
export function checkPictures(): Promise<Buffer[]> {
  const { resolve } = createRequire(import.meta.url);
  return Promise.all(PICTURES.map((name) => readFile(resolve(name))));
}
