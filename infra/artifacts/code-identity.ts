import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CODE_VERSION } from './code-version.ts';

/** What makes artefacts; the rest of the program only asks for them. */
const FOLDERS = ['contracts', 'lib', 'infra', 'activities', 'workflows'];

/** Which program made something, as exactly as can be told from its own files. */
export interface CodeIdentity {
  /** Of the release; artefacts carry it too, and are found again by it. */
  version: string;
  /** First 16 hex digits of the SHA-256 over the files that make artefacts: tells two states of one release apart. */
  digest: string;
  node: string;
}

let identity: CodeIdentity | undefined;

/**
 * Looked up once per process. Not part of any artefact: a change of the code between two releases must not make everything anew, and
 * whoever changes what an artefact is made of changes its configuration or the release. Generations carry it.
 */
export function codeIdentity(): CodeIdentity {
  identity ??= { version: CODE_VERSION, digest: digestOf(programRoot()), node: process.version };
  return { ...identity };
}

/** The folder that holds `infra`: the checkout, or its `dist`. */
function programRoot(): string {
  return fileURLToPath(new URL('../..', import.meta.url));
}

/** SHA-256 over paths and bytes of all code files, in the order of their paths. */
export function digestOf(root: string): string {
  const hash = createHash('sha256');
  for (const folder of FOLDERS) {
    const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
    for (const name of names.filter((path) => /\.[jt]s$/.test(path) && !path.endsWith('.d.ts')).sort()) {
      const bytes = readFileSync(join(root, folder, name));
      hash.update(`${folder}/${name.replaceAll('\\', '/')}\0${bytes.length}\0`).update(bytes);
    }
  }
  return hash.digest('hex').slice(0, 16);
}
