import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ItemWrite } from '../../../contracts/changes.ts';
import type { JsonObject } from '../../../contracts/json.ts';
import { DeltaTail } from '../../../infra/delta/delta-tail.ts';
import type { DeltaFeed } from '../../../infra/delta/delta-tail.ts';
import { openRegistry } from '../../../infra/registry/registry.ts';
import type { SqlRegistry } from '../../../infra/registry/registry.ts';
import type { ShardChange } from '../../../infra/shards/live-shard.ts';
import { shardOf } from '../../../lib/ann/shard-of.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';

const NUM_SHARDS = 2;
const MODEL = 'm';
let registry: SqlRegistry;
beforeEach(async () => {
  const shape = () => Promise.resolve({ dim: 1, numShards: NUM_SHARDS });
  registry = await openRegistry({ dataDir: temporaryFolder(), databaseUrl: null }, shape);
});
afterEach(() => registry.close());

const image = (letter: string): string => letter.repeat(64);
/** A picture's vector says which picture it is; `z` cannot be used. */
const vectorOf = (sha256: string): Float32Array | null =>
  sha256.startsWith('z') ? null : Float32Array.of(sha256.charCodeAt(0));

const anId = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const aWrite: fc.Arbitrary<ItemWrite> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .record({ id: anId, image: fc.option(fc.constantFrom('v', 'w', 'x', 'z').map(image)), price: fc.nat(2) })
      .map(({ price, ...put }) => ({
        put: { ...put, category: null, label: null, title: null, attributes: { price } },
      })),
  },
  { weight: 1, arbitrary: anId.map((id) => ({ delete: id })) },
);
const aStep = fc.oneof(
  { weight: 5, arbitrary: fc.record({ write: fc.array(aWrite, { minLength: 1, maxLength: 4 }) }) },
  { weight: 3, arbitrary: fc.constant({ do: 'embed' as const }) },
  { weight: 4, arbitrary: fc.constant({ do: 'follow' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'break' as const }) },
);

/** A shard as the tail sees it. */
class Rows {
  readonly rows = new Map<string, { vector: number; price: unknown }>();

  constructor(start: Iterable<[string, { vector: number; price: unknown }]>) {
    this.rows = new Map(start);
  }

  apply(changes: ShardChange[]): void {
    for (const change of changes) {
      const vector =
        change.kind === 'delete' || change.vector === null
          ? undefined
          : change.vector === 'kept'
            ? this.rows.get(change.id)?.vector
            : change.vector[0];
      if (vector === undefined) this.rows.delete(change.id);
      else this.rows.set(change.id, { vector, price: (change as { attributes: JsonObject }).attributes['price'] });
    }
  }
}

async function currentRows(catalogue: string, shard: number): Promise<Map<string, { vector: number; price: unknown }>> {
  const items = await registry.catalogue.listItems(catalogue, { limit: 100 });
  return new Map(
    items.flatMap((item) => {
      const vector = vectorOf(item.image);
      if (vector === null || shardOf(item.id, NUM_SHARDS) !== shard) return [];
      return [[item.id, { vector: vector[0]!, price: item.attributes['price'] }] as const];
    }),
  );
}

it('a shard that follows the changes ends as the catalogue is, whatever comes, waits, breaks and starts anew', async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(aWrite, { maxLength: 5 }),
      fc.array(aStep, { maxLength: 20 }),
      fc.nat(1),
      async (before, steps, shard) => {
        const catalogue = `c${run++}`;
        await registry.catalogue.writeItems(catalogue, before);
        const start = await currentRows(catalogue, shard);
        const sinceSeq = await registry.changes.lastSeq(catalogue);
        await registry.changes.recordSnapshot(catalogue, 's', sinceSeq);
        const origin = { catalogue, snapshot: 's', model: MODEL, shard, numShards: NUM_SHARDS };

        let isBroken: 'feed' | 'apply' | undefined;
        const feed: DeltaFeed = {
          snapshotSeq: (...args) => registry.changes.snapshotSeq(...args),
          since: (...args) => registry.changes.since(...args),
          vectors: (...args) =>
            isBroken === 'feed' ? Promise.reject(new Error('away')) : registry.changes.vectors(...args),
        };
        let rows = new Rows(start);
        let status = { searchableSeq: sinceSeq, numWaiting: 0 };
        const follower = (): DeltaTail =>
          new DeltaTail({
            origin,
            feed,
            apply: async (changes, now) => {
              if (isBroken === 'apply') throw new Error('gone');
              rows.apply(changes);
              status = now;
            },
          });
        let tail = follower();
        const embed = async (): Promise<void> => {
          const target = { catalogue, model: MODEL, sinceSeq };
          const missing = await registry.changes.unembedded(target, { after: 0, limit: 100 });
          const vectors = [...new Set(missing.map((one) => one.image))].map((one) => {
            const vector = vectorOf(one);
            return vector === null ? { image: one, vector, reason: 'broken' } : { image: one, vector };
          });
          await registry.changes.putVectors(catalogue, MODEL, vectors);
        };

        for (const step of steps) {
          if ('write' in step) await registry.catalogue.writeItems(catalogue, step.write);
          else if (step.do === 'embed') await embed();
          else if (step.do === 'follow') await tail.step();
          else if (step.do === 'restart') {
            rows = new Rows(start);
            tail = follower();
          } else {
            for (const part of ['feed', 'apply'] as const) {
              isBroken = part;
              await tail.step().catch(() => undefined);
            }
            isBroken = undefined;
          }
        }
        await embed();
        await tail.step();
        expect(rows.rows).toEqual(await currentRows(catalogue, shard));
        expect(status).toEqual({ searchableSeq: await registry.changes.lastSeq(catalogue), numWaiting: 0 });
      },
    ),
    { numRuns: 150 },
  );
});

it('an item whose new picture has no vector yet keeps its old row, and says so', async () => {
  const put = (letter: string): ItemWrite => ({
    put: { id: 'a', image: image(letter), category: null, label: null, title: null, attributes: {} },
  });
  await registry.catalogue.writeItems('waits', [put('v')]);
  await registry.changes.recordSnapshot('waits', 's', 1);
  await registry.catalogue.writeItems('waits', [put('w')]);
  const got: unknown[] = [];
  const origin = { catalogue: 'waits', snapshot: 's', model: MODEL, shard: 0, numShards: 1 };
  const tail = new DeltaTail({
    origin,
    feed: registry.changes,
    apply: async (changes, status) => void got.push({ changes, status }),
  });
  await tail.start();
  expect(got).toEqual([{ changes: [], status: { searchableSeq: 1, numWaiting: 1 } }]);
  await registry.changes.putVectors('waits', MODEL, [{ image: image('w'), vector: Float32Array.of(7) }]);
  await expect.poll(() => got.length, { timeout: 5_000 }).toBe(2);
  expect(got[1]).toEqual({
    changes: [{ kind: 'put', id: 'a', category: null, attributes: {}, vector: Float32Array.of(7) }],
    status: { searchableSeq: 2, numWaiting: 0 },
  });
  await tail.stop();
});
