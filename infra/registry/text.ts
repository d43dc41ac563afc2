import { LookalikeError } from '../../contracts/errors.ts';

/** Longest id in UTF-16 units: four bytes each still fit both databases' index entries. */
const MAX_ID_LENGTH = 512;

/**
 * Catalogue names are parts of workflow ids, URLs and search filters: with a slash, the run of one catalogue could take the id
 * that a step of another's has.
 * @throws LookalikeError `invalidInput`
 */
export function checkCatalogue(catalogue: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(catalogue)) return;
  const got = catalogue.length > 128 ? `${catalogue.length} characters` : JSON.stringify(catalogue);
  throw new LookalikeError(
    'invalidInput',
    `Expected a catalogue name of 1 to 128 letters A-Z, digits and "_", ".", "-", beginning with a letter or digit; got ${got}.`,
  );
}

/** @throws LookalikeError `invalidInput` */
export function checkId(id: string): void {
  if (id.length === 0 || id.length > MAX_ID_LENGTH) {
    throw new LookalikeError('invalidInput', `Expected id of 1 to ${MAX_ID_LENGTH} characters, got ${id.length}.`);
  }
  checkText('id', id);
}

/** @throws LookalikeError `invalidInput` */
export function checkText(field: string, text: string | null): void {
  if (text === null) return;
  if (text.includes('\0')) {
    throw new LookalikeError('invalidInput', `Expected ${field} without NUL characters, got ${JSON.stringify(text)}.`);
  }
  if (!text.isWellFormed()) {
    throw new LookalikeError('invalidInput', `Expected ${field} as valid Unicode, got half a surrogate pair.`);
  }
}
