import { LookalikeError } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { RequestKey } from '../../contracts/changes.ts';
import type { Db } from './database.ts';

/** Nobody repeats a request later than this. */
const REMEMBER_MS = 24 * 3_600_000;

/** What a request with this key was answered. @throws LookalikeError `conflict` when it asked for something else */
export async function answerOf(
  db: Db,
  catalogue: string,
  { key, request }: RequestKey,
): Promise<JsonObject | undefined> {
  const query = db.selectFrom('idempotency_keys').selectAll().where('catalogue', '=', catalogue);
  const known = await query.where('key', '=', key).executeTakeFirst();
  if (known === undefined) return undefined;
  if (known.request === request) return JSON.parse(known.answer) as JsonObject;
  throw new LookalikeError(
    'conflict',
    `Expected the idempotency key "${key}" to come again with the request that it came with first, got another one. Use a new key.`,
  );
}

/** Keeps an answer in the transaction that it tells of; those that are old go. */
export async function keepAnswer(
  tx: Db,
  catalogue: string,
  { key, request }: RequestKey,
  answer: JsonObject,
): Promise<void> {
  const now = Date.now();
  const old = tx.deleteFrom('idempotency_keys').where('catalogue', '=', catalogue);
  await old.where('at', '<', new Date(now - REMEMBER_MS).toISOString()).execute();
  const row = { catalogue, key, request, answer: JSON.stringify(answer), at: new Date(now).toISOString() };
  await tx.insertInto('idempotency_keys').values(row).execute();
}
