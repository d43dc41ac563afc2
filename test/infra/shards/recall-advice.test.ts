import { expect, it } from 'vitest';
import type { IndexKind, IndexSpec } from '../../../contracts/ann.ts';
import { INDEX_DEFAULTS } from '../../../infra/recipes/kind-defaults.ts';
import { recallAdvice } from '../../../infra/shards/recall-advice.ts';

const { auto: _, ...chosen } = INDEX_DEFAULTS;
const kinds = Object.keys(chosen) as IndexKind[];
const specOf = (kind: IndexKind): IndexSpec => ({ kind, metric: 'cosine', ...INDEX_DEFAULTS[kind] }) as IndexSpec;

it.each(kinds.filter((kind) => kind !== 'exact'))(
  'names parameters of %s that exist, with the values that they have',
  (kind) => {
    const spec = specOf(kind) as unknown as Record<string, string | number | undefined>;
    const named = [...recallAdvice(specOf(kind)).matchAll(/([\w.]+) \(now (\w+)/g)];
    expect(named.length).toBeGreaterThan(0);
    for (const [, name, now] of named) expect(now).toBe(String(spec[name!] ?? 'int8'));
  },
);

it.each<[IndexSpec, string]>([
  [
    { kind: 'hnsw', metric: 'l2', storage: 'float32', m: 12, efConstruction: 90, efSearch: 33, seed: 1 },
    'Raise efSearch (now 33), efConstruction (now 90), then m (now 12); or use exact.',
  ],
  [
    {
      ...{ kind: 'ivf', metric: 'l2', numLists: 64, nprobe: 3, rescore: 2, seed: 1 },
      codes: { kind: 'pq', m: 8, bits: 4, opq: false },
    },
    'Raise nprobe (now 3), rescore (now 2), codes.m (now 8), then codes.bits (now 4); or lower numLists (now 64); ' +
      'or use codes flat or hnsw.',
  ],
  [
    { kind: 'lsh', metric: 'l2', family: 'hyperplane', tables: 4, bits: 12, probes: 9, seed: 1 },
    'Raise probes (now 9), then tables (now 4); or lower bits (now 12); or use hnsw.',
  ],
  [{ kind: 'exact', metric: 'l2', storage: 'int8', rescore: 1 }, 'Raise rescore (now 1); or use storage float32.'],
])('says what to change of %o', (spec, advice) => {
  expect(recallAdvice(spec)).toBe(advice);
});

it('says of an index that finds all that no more can be asked of it', () => {
  const whole = 'compares with all that could be nearer: ask for at most 1.';
  expect(recallAdvice({ kind: 'exact', metric: 'l2' })).toBe(`This exact index ${whole}`);
  const tree = { kind: 'kdTree', metric: 'l2', trees: 1, leafSize: 8, checks: 0, seed: 1 } as const;
  expect(recallAdvice(tree)).toBe(`This kdTree index ${whole}`);
});
