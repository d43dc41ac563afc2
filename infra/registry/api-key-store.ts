import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { API_SCOPES } from '../../contracts/registry.ts';
import type { ApiKeyStore, ApiScope } from '../../contracts/registry.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Database } from './database.ts';
import type { Tables } from './schema.ts';
import { checkText } from './text.ts';

/** `lk_<id>_<256 random bits>`: the id finds the row, so that comparing the secret takes the same time for any guess. */
const KEY = /^lk_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/;

export function createApiKeyStore({ db }: Database): ApiKeyStore {
  return {
    async create(name, scopes) {
      checkText('name', name);
      if (name.trim() === '' || scopes.length === 0) {
        throw new LookalikeError(
          'invalidInput',
          `Expected a name and at least one of the scopes ${API_SCOPES.join(', ')}.`,
        );
      }
      const id = randomBytes(8).toString('hex');
      const key = `lk_${id}_${randomBytes(32).toString('base64url')}`;
      const granted = API_SCOPES.filter((scope) => scopes.includes(scope)).join(' ');
      const row = {
        id,
        name,
        scopes: granted,
        hash: hashOf(key).toString('hex'),
        created_at: new Date().toISOString(),
      };
      await db.insertInto('api_keys').values(row).execute();
      return { id, key };
    },
    async verify(key) {
      const id = KEY.exec(key)?.[1];
      if (id === undefined) return undefined;
      const row = await db.selectFrom('api_keys').selectAll().where('id', '=', id).executeTakeFirst();
      if (!row || !timingSafeEqual(hashOf(key), Buffer.from(row.hash, 'hex'))) return undefined;
      return { id, name: row.name, scopes: scopesOf(row) };
    },
    async list() {
      const rows = await db.selectFrom('api_keys').selectAll().orderBy('created_at').orderBy('id').execute();
      return rows.map((row) => ({ id: row.id, name: row.name, scopes: scopesOf(row), createdAt: row.created_at }));
    },
    async revoke(id) {
      return (
        Number((await db.deleteFrom('api_keys').where('id', '=', id).executeTakeFirstOrThrow()).numDeletedRows) > 0
      );
    },
  };
}

/** The key holds 256 random bits: a plain hash cannot be searched, a slow one would only slow each request. */
function hashOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

function scopesOf(row: Tables['api_keys']): ApiScope[] {
  const granted = row.scopes.split(' ');
  return API_SCOPES.filter((scope) => granted.includes(scope));
}
