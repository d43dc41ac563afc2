import { LookalikeError } from '../../contracts/errors.ts';

/** Longest id in UTF-16 units: four bytes each still fit both databases' index entries. */
const MAX_ID_LENGTH = 512;
const MAX_CATALOGUE_LENGTH = 128;

/** @throws LookalikeError `invalidInput` for a name that could not be stored, or be told from another, on every database */
export function checkCatalogue(catalogue: string): void {
  checkName('catalogue', catalogue, MAX_CATALOGUE_LENGTH);
}

/** @throws LookalikeError `invalidInput` */
export function checkId(id: string): void {
  checkName('id', id, MAX_ID_LENGTH);
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

function checkName(field: string, name: string, maxLength: number): void {
  if (name.length === 0 || name.length > maxLength) {
    throw new LookalikeError('invalidInput', `Expected ${field} of 1 to ${maxLength} characters, got ${name.length}.`);
  }
  checkText(field, name);
}
