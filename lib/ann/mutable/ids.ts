import { LookalikeError } from '../../../contracts/errors.ts';
import { compareIds } from '../shard-of.ts';

/** @throws LookalikeError `invalidInput`: a number would lose digits beyond 2^53, so ids are text and nothing else */
export function checkId(id: unknown): asserts id is string {
  if (typeof id === 'string' && id !== '') return;
  const got = typeof id === 'string' ? 'an empty one' : `a ${typeof id}`;
  throw new LookalikeError('invalidInput', `Expected an id to be a string of at least one character, got ${got}.`);
}

/** The position of the first id that is not above the one before; `undefined` when all ascend. */
export function firstDisorder(ids: readonly string[]): number | undefined {
  for (let i = 1; i < ids.length; i++) if (compareIds(ids[i - 1]!, ids[i]!) >= 0) return i;
  return undefined;
}

/** @throws LookalikeError `invalidInput` when there is not one id a row, strictly ascending */
export function checkRowIds(ids: readonly string[], numRows: number): void {
  if (ids.length !== numRows) {
    throw new LookalikeError('invalidInput', `Expected ${numRows} ids, one a row, got ${ids.length}.`);
  }
  ids.forEach(checkId);
  const disorder = firstDisorder(ids);
  if (disorder === undefined) return;
  const pair = `"${ids[disorder - 1]}" before "${ids[disorder]}"`;
  throw new LookalikeError('invalidInput', `Expected the ids of the rows to ascend, got ${pair}. Add rows by id.`);
}
