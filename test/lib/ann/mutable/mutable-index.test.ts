import fc from 'fast-check';
import { expect, it } from 'vitest';
import { METRICS } from '../../../../contracts/ann.ts';
import type { IndexSpec, Metric } from '../../../../contracts/ann.ts';
import { INDEX_DEFAULTS } from '../../../../infra/recipes/kind-defaults.ts';
import { createBuilder, loadIndex } from '../../../../lib/ann/index.ts';
import { KIND_NAMES } from '../../../../lib/ann/kinds.ts';
import type { ScoredId } from '../../../../lib/ann/merge.ts';
import { MutableIndex } from '../../../../lib/ann/mutable/mutable-index.ts';
import { compareIds } from '../../../../lib/ann/shard-of.ts';
import { buildOf, fileOf } from '../kind-contract.ts';
import { seededVectors } from '../seeded-vectors.ts';

const EXACT: IndexSpec = { kind: 'exact', metric: 'l2' };
const specsOf = (metric: Metric): IndexSpec[] =>
  KIND_NAMES.map((kind) => ({ kind, metric, ...INDEX_DEFAULTS[kind] }) as IndexSpec);

type Model = Map<string, Float32Array>;
const sorted = (model: Model): [string, Float32Array][] => [...model].sort(([a], [b]) => compareIds(a, b));

async function mutableOf(model: Model, spec: IndexSpec, dim: number): Promise<MutableIndex> {
  const rows = sorted(model);
  const vectors = rows.map(([, vector]) => vector);
  return new MutableIndex(
    await buildOf(spec, vectors, dim),
    rows.map(([id]) => id),
  );
}

/** What an exact search over the live set answers. */
async function truth(model: Model, metric: Metric, query: Float32Array, k: number): Promise<ScoredId[]> {
  const rows = sorted(model);
  const index = await buildOf(
    { kind: 'exact', metric },
    rows.map(([, vector]) => vector),
    query.length,
  );
  const { rows: found, scores } = index.search(query, { k });
  return Array.from(found, (row, i) => ({ id: rows[row]![0], score: scores[i]! }));
}

const saved = async (index: MutableIndex): Promise<Buffer> => Buffer.concat(await index.serialise());

const DIM = 5;
/** Ids that a number, a locale or a careless encoding would confuse. */
const IDS = [
  ...['9007199254740992', '9007199254740993', '10', '9', 'a', 'A', 'ä', 'a\u0308', '\u{1f600}', '\ud800', '"', ' '],
  ...Array.from({ length: 30 }, (_, i) => `item ${i}`),
];
const anId = fc.constantFrom(...IDS);
/** Few values, so that scores tie often. */
const aVector = fc
  .array(fc.integer({ min: -2, max: 2 }), { minLength: DIM, maxLength: DIM })
  .map((values) => Float32Array.from(values));
const aStep = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('upsert' as const), id: anId, vector: aVector }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('delete' as const), id: anId }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('search' as const),
      query: aVector,
      k: fc.integer({ min: 1, max: 50 }),
      only: fc.option(fc.uniqueArray(anId)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reload' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('compact' as const) }) },
);
const aStart = fc
  .uniqueArray(fc.tuple(anId, aVector), { selector: ([id]) => id })
  .map((entries): Model => new Map(entries));

for (const metric of METRICS) {
  it.each(specsOf(metric))(
    `answers as a plain map does after any upserts, deletes, saves, loads and compactions ($kind, ${metric})`,
    async (spec) => {
      await fc.assert(
        fc.asyncProperty(aStart, fc.array(aStep, { maxLength: 25 }), async (start, steps) => {
          const model: Model = new Map(start);
          let index = await mutableOf(model, spec, DIM);
          for (const step of steps) {
            switch (step.do) {
              case 'upsert':
                index.upsert(step.id, step.vector);
                model.set(step.id, step.vector);
                break;
              case 'delete':
                if (model.delete(step.id)) index.delete(step.id);
                else expect(() => index.delete(step.id)).toThrow(expect.objectContaining({ code: 'notFound' }));
                break;
              case 'search': {
                const { query, k, only } = step;
                const allowed = only === null ? undefined : new Set(only);
                const kept: Model = new Map([...model].filter(([id]) => allowed?.has(id) ?? true));
                const expected = await truth(kept, metric, query, k);
                expect(index.search(query, { k, allowed, exact: true })).toEqual(expected);
                const found = index.search(query, { k, allowed });
                if (spec.kind === 'exact') expect(found).toEqual(expected);
                expect(found).toHaveLength(expected.length);
                const scores = new Map(
                  (await truth(kept, metric, query, IDS.length)).map(({ id, score }) => [id, score]),
                );
                for (const { id, score } of found) expect(score).toBe(scores.get(id));
                const asked = { k, allowed: allowed && ((id: string) => allowed.has(id)) };
                expect(await index.searchBatch(query, asked)).toEqual([found]);
                break;
              }
              case 'reload':
                index = await MutableIndex.load(await saved(index));
                break;
              case 'compact':
                index = await index.compact(createBuilder);
                expect(index).toMatchObject({ numInSegment: 0, numDead: 0 });
            }
            expect(index.size).toBe(model.size);
          }
          for (const [id, vector] of model) if (metric !== 'cosine') expect(index.get(id)).toEqual(vector);
        }),
        { seed: 7, numRuns: 12 },
      );
    },
  );
}

const ROWS = 1200;
const big: Model = new Map(seededVectors(ROWS, 16, 3).map((vector, i) => [`id ${i}`, vector]));

it.each(specsOf('cosine'))(
  'finds among what is left most of what an exact search finds, however many are dead ($kind)',
  async (spec) => {
    const index = await mutableOf(big, spec, 16);
    const fresh = seededVectors(200, 16, 4);
    for (let i = 0; i < ROWS; i += 2) index.delete(`id ${i}`);
    for (const [i, vector] of fresh.entries()) index.upsert(`id ${i * 3}`, vector);
    expect(index.size).toBe(ROWS / 2 + 100);
    let found = 0;
    const queries = seededVectors(40, 16, 3);
    for (const query of queries) {
      const expected = new Set(index.search(query, { k: 10, exact: true }).map(({ id }) => id));
      const answer = index.search(query, { k: 10 });
      expect(answer).toHaveLength(10);
      found += answer.filter(({ id }) => expected.has(id)).length;
    }
    expect(found / 10 / queries.length).toBeGreaterThan(0.9);
  },
);

it('keeps ids apart that are one number to a double', async () => {
  const index = await mutableOf(new Map(), EXACT, 1);
  index.upsert('9007199254740993', Float32Array.of(1));
  index.upsert('9007199254740992', Float32Array.of(1));
  const loaded = await MutableIndex.load(await saved(index));
  const answer = loaded.search(Float32Array.of(1), { k: 5 });
  expect(answer.map(({ id }) => id)).toEqual(['9007199254740992', '9007199254740993']);
  loaded.delete('9007199254740992');
  expect([loaded.has('9007199254740992'), loaded.has('9007199254740993')]).toEqual([false, true]);
  expect(() => loaded.upsert(Number('9007199254740992') as unknown as string, Float32Array.of(1))).toThrow(
    'Expected an id to be a string of at least one character, got a number.',
  );
});

it('takes no more memory however often the same ids are replaced, deleted and added again', async () => {
  const index = await mutableOf(big, EXACT, 16);
  const vectors = [...big.values()];
  const churn = (rounds: number): void => {
    for (let i = 0; i < rounds; i++) {
      const id = `new ${i % 100}`;
      if (i % 3 === 0 && index.has(id)) index.delete(id);
      else index.upsert(id, vectors[i % ROWS]!);
    }
  };
  const atFirst = index.memoryBytes;
  churn(300);
  const after = index.memoryBytes;
  // 100 live rows of 64 bytes at most, in steps of 64 rows, with a bit each.
  expect(after - atFirst).toBeLessThanOrEqual(128 * 64 + 64 + 16);
  churn(20_000);
  expect(index.memoryBytes).toBe(after);
  const query = new Float32Array(16).fill(1);
  const batch = index.searchBatch(query, { k: 3 });
  churn(20_000);
  // What the batch may still read is kept beside: at most as much again.
  expect(index.memoryBytes - atFirst).toBeLessThanOrEqual(2 * (after - atFirst));
  await batch;
  const bound = index.memoryBytes;
  churn(20_000);
  expect(index.memoryBytes).toBe(bound);
});

it('orders equal scores by id, also where only some of them fit', async () => {
  const same = Float32Array.of(1, 2, 3, 4, 5);
  const index = await mutableOf(new Map([['m', same]]), EXACT, DIM);
  for (const id of [...'zyxwvutsrqponlkjihgfedcba']) index.upsert(id, same);
  for (let k = 1; k <= 26; k++) {
    const ids = index.search(same, { k }).map(({ id }) => id);
    expect(ids.join('')).toBe('abcdefghijklmnopqrstuvwxyz'.slice(0, k));
  }
});

it('compacts and loads unit vectors without changing a bit, over and over', async () => {
  const vectors = seededVectors(500, 3, 8).map((vector, i) => [String(i), vector] as const);
  let index = await mutableOf(new Map(vectors), { kind: 'exact', metric: 'cosine' }, 3);
  const stored = vectors.map(([id]) => index.get(id));
  for (let i = 0; i < 4; i++) {
    index = await index.compact(createBuilder);
    for (const [id] of vectors.slice(i, 100)) index.upsert(id, index.get(id));
    index = await MutableIndex.load(await saved(index));
    expect(vectors.map(([id]) => index.get(id))).toEqual(stored);
  }
});

const PAUSING: IndexSpec = { kind: 'hnsw', metric: 'l2', ...INDEX_DEFAULTS.hnsw };
it.each([
  ['in blocks', EXACT, {}],
  ['one by one', PAUSING, { exact: true }],
])('answers a batch from what was live when it was called (%s)', async (_, spec, options) => {
  const queries = [...big.values()].slice(0, 40);
  const flat = Float32Array.from(queries.flatMap((query) => [...query]));
  const index = await mutableOf(big, spec, 16);
  index.delete('id 900');
  for (let i = 0; i < 300; i++) index.upsert(`id ${i}`, [...big.values()][i + 1]!);
  const expected = queries.map((query) => index.search(query, { ...options, k: 8 }));
  const batch = index.searchBatch(flat, { ...options, k: 8 });
  for (let i = 0; i < ROWS; i++) {
    if (i % 2 === 0 && i !== 900) index.delete(`id ${i}`);
    else index.upsert(`id ${i}`, new Float32Array(16));
  }
  index.upsert('another', queries[0]!);
  expect(await batch).toEqual(expected);
  expect(index.search(queries[0]!, { k: 1 })[0]!.id).toBe('another');
});

it('carries what changes during a compaction into the new index', async () => {
  const index = await mutableOf(big, EXACT, 16);
  index.upsert('early', new Float32Array(16).fill(1));
  index.upsert('doomed', new Float32Array(16).fill(2));
  const compaction = index.compact(createBuilder);
  index.delete('doomed');
  index.upsert('doomed', new Float32Array(16).fill(9));
  index.delete('doomed');
  index.upsert('early', new Float32Array(16).fill(3));
  index.upsert('late', new Float32Array(16).fill(4));
  index.delete('id 7');
  const fresh = await compaction;
  expect(fresh.size).toBe(index.size);
  expect([fresh.has('doomed'), fresh.has('id 7')]).toEqual([false, false]);
  const query = new Float32Array(16).fill(3.4);
  expect(fresh.search(query, { k: 20 })).toEqual(index.search(query, { k: 20 }));
});

it('an index loaded and saved again is the same bytes, and damage anywhere is refused', async () => {
  const index = await mutableOf(big, EXACT, 16);
  for (let i = 0; i < 40; i++) index.upsert(`id ${i}`, new Float32Array(16).fill(i));
  for (let i = 100; i < 140; i++) index.delete(`id ${i}`);
  const file = await saved(index);
  expect((await saved(await MutableIndex.load(file))).equals(file)).toBe(true);
  const refused = expect.objectContaining({
    code: 'corruptArtifact',
    message: expect.stringMatching(/^Expected/) as string,
  }) as object;
  // Each section lies at a multiple of 64 and may end in padding, which nothing reads: its first byte is always its own.
  const starts = [...file.toString('latin1').matchAll(/"offset":"(\d+)"/g)].map(([, offset]) => Number(offset));
  expect(starts.length).toBeGreaterThanOrEqual(5);
  for (const at of [0, 8, 20, 60, ...starts.filter((offset) => offset > 60).slice(0, 5)]) {
    const damaged = Buffer.from(file);
    damaged[at]! ^= 4;
    await expect(MutableIndex.load(damaged)).rejects.toEqual(refused);
  }
  for (const length of [0, 10, 100, file.length >> 1, file.length - 64]) {
    await expect(MutableIndex.load(file.subarray(0, length))).rejects.toEqual(refused);
  }
  const plain = await fileOf(await buildOf(EXACT, [...big.values()]));
  await expect(MutableIndex.load(plain)).rejects.toEqual(refused);
  await expect(loadIndex(file)).rejects.toEqual(refused);
});

it('refuses bad vectors, ids and options in sentences, and stays as it was', async () => {
  const index = await mutableOf(new Map([['a', Float32Array.of(1, 2)]]), EXACT, 2);
  const base = await buildOf(EXACT, [Float32Array.of(1), Float32Array.of(2)]);
  const failures: [() => unknown, string, RegExp][] = [
    [() => index.upsert('a', Float32Array.of(1, NaN)), 'nonFinite', /the vector of "a".*got NaN at position 1/],
    [() => index.upsert('b', Float32Array.of(1)), 'dimensionMismatch', /the vector of "b" to have 2 dimensions, got 1/],
    [() => index.upsert('', Float32Array.of(1, 1)), 'invalidInput', /at least one character, got an empty one/],
    [() => index.delete('b'), 'notFound', /Expected item "b" in the index/],
    [() => index.get('b'), 'notFound', /Expected item "b" in the index/],
    [() => index.search(Float32Array.of(1), { k: 1 }), 'dimensionMismatch', /2 dimensions, got 1/],
    [() => index.search(Float32Array.of(1, NaN), { k: 1 }), 'nonFinite', /got NaN/],
    [() => index.search(Float32Array.of(1, 1), { k: 0 }), 'invalidInput', /`k` to be an integer from 1/],
    [() => new MutableIndex(base, ['b', 'a']), 'invalidInput', /to ascend, got "b" before "a"/],
    [() => new MutableIndex(base, ['a', 'a']), 'invalidInput', /to ascend/],
    [() => new MutableIndex(base, ['a']), 'invalidInput', /Expected 2 ids, one a row, got 1/],
  ];
  for (const [act, code, message] of failures) {
    expect(act).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) as string }));
  }
  expect([index.size, index.numDead, index.numInSegment, ...index.get('a')]).toEqual([1, 0, 0, 1, 2]);
});

it('a search, a batch and a compaction end once they are called off', async () => {
  const index = await mutableOf(big, EXACT, 16);
  const query = big.get('id 1')!;
  const called = { code: 'cancelled' };
  expect(() => index.search(query, { k: 1, signal: AbortSignal.abort() })).toThrow(expect.objectContaining(called));
  for (const work of [
    (signal: AbortSignal) =>
      index.searchBatch(Float32Array.from([...big.values()].flatMap((v) => [...v])), { k: 5, signal }),
    (signal: AbortSignal) => index.compact(createBuilder, signal),
  ]) {
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    await expect(work(controller.signal)).rejects.toMatchObject(called);
  }
  index.upsert('after', query);
  expect(index.search(query, { k: 2 }).map(({ id }) => id)).toEqual(['after', 'id 1']);
});
