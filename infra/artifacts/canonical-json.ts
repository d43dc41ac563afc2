import { LookalikeError } from '../../contracts/errors.ts';

/**
 * One text per JSON value: keys sorted by UTF-16 code unit, no whitespace, `undefined` properties left out. Equal values give
 * equal bytes, so the text can be hashed.
 *
 * @throws LookalikeError `nonFinite` for NaN and infinities, `invalidInput` for anything else JSON cannot say
 */
export function canonicalJson(value: unknown, path = '$'): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return JSON.stringify(value);
    throw new LookalikeError('nonFinite', `Expected a finite number at ${path}, got ${value}.`);
  }
  if (Array.isArray(value)) {
    return `[${value.map((element, i) => canonicalJson(element, `${path}[${i}]`)).join(',')}]`;
  }
  if (typeof value === 'object' && isPlain(value)) {
    const entries = Object.entries(value).filter(([, child]) => child !== undefined);
    // Keys of one object are never equal.
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, child]) => `${JSON.stringify(key)}:${canonicalJson(child, `${path}.${key}`)}`).join(',')}}`;
  }
  const got = typeof value === 'object' ? value.constructor.name : typeof value;
  throw new LookalikeError('invalidInput', `Expected a JSON value at ${path}, got ${got}.`);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
