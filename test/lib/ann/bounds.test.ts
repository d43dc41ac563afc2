import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { IndexSpec, KernelThreads } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import { batchShape } from '../../../lib/ann/batch-room.ts';
import { createBuilder, loadIndex } from '../../../lib/ann/index.ts';
import { buildOf, fileOf, loadWith, sectionsOf } from './kind-contract.ts';
import { seededRandom, seededVectors } from './seeded-vectors.ts';

const MIB = 1 << 20;
const metric = 'innerProduct';
const HNSW = { kind: 'hnsw', metric, m: 4, efConstruction: 10, efSearch: 10, seed: 1 } as const;
const FOREST = { kind: 'kdTree', metric, trees: 4, leafSize: 16, checks: 200, seed: 1 } as const;
const TREE = { ...FOREST, trees: 1, checks: 0 } as const;
const LSH = { kind: 'lsh', metric, family: 'hyperplane', tables: 8, bits: 12, probes: 20, seed: 1 } as const;
const HASH = { kind: 'deepHash', metric, bits: 64, code: 'hyperplane', epochs: 1, rescore: 0, seed: 1 } as const;
const SPECS: [string, IndexSpec][] = [
  ['exact', { kind: 'exact', metric }],
  ['hnsw', HNSW],
  ['hnsw of f32', { ...HNSW, storage: 'float32' }],
  ['exact tree', TREE],
  ['forest', FOREST],
  ['lsh', LSH],
  ['deepHash', HASH],
];

describe('the room of a batch', () => {
  it('stays below 64 MiB unless one query takes more, and is used as far as calls and queries go', () => {
    const bytes = fc.integer({ min: 1, max: 2 ** 31 });
    fc.assert(
      fc.property(
        bytes,
        bytes,
        fc.integer({ min: 1, max: 256 }),
        fc.integer({ min: 1, max: 1024 }),
        (call, query, m, n) => {
          const { numCalls, perCall } = batchShape({ call, query }, m, n);
          const room = (calls: number, queries: number): number => calls * (call + queries * query);
          expect(numCalls).toBeGreaterThanOrEqual(1);
          expect(perCall).toBeGreaterThanOrEqual(1);
          if (numCalls * perCall > 1) expect(room(numCalls, perCall)).toBeLessThanOrEqual(64 * MIB);
          if (perCall < n && numCalls === m) expect(room(m, perCall + 1)).toBeGreaterThan(64 * MIB);
          if (numCalls < m) expect(room(numCalls + 1, perCall)).toBeGreaterThan(64 * MIB);
        },
      ),
      { seed: 1 },
    );
  });

  // 64 threads and, but for hnsw, answers of nearly all rows: without a bound the calls of one moment take 100 MiB and more.
  it.each([
    ['hnsw', HNSW, { k: 370, efSearch: 370 }],
    ['forest', FOREST, { k: 5_999, checks: 5_000 }],
    ['lsh', LSH, { k: 5_999, probes: 100 }],
    ['deepHash', HASH, { k: 5_999, rescore: 0 }],
  ] as const)(
    'does not grow with k, effort, batch or threads, nor does memoryBytes count it (%s)',
    async (_, spec, effort) => {
      const size = 6_000;
      const built = await buildOf(spec, seededVectors(size, 4, 1));
      let seen: { calls: number; allocated: number; memoryBytes: number } | undefined;
      const threads: KernelThreads = {
        size: 64,
        run(memory, calls) {
          if (calls.length === 0) return Promise.resolve([]);
          const { byteLength } = (memory as WebAssembly.Memory).buffer;
          seen = { calls: (seen?.calls ?? 0) + calls.length, allocated: byteLength, memoryBytes: index.memoryBytes };
          return Promise.reject(new LookalikeError('cancelled', 'Seen enough.'));
        },
      };
      const index = await loadIndex(await fileOf(built), { threads });
      const before = index.memoryBytes;
      const queries = new Float32Array(20_000 * 4).fill(1);
      const batch = index.searchBatch(queries, effort);
      await expect(batch).rejects.toMatchObject({ code: 'cancelled' });
      expect(seen!.calls).toBeGreaterThan(1);
      // What memory grows by ahead of need is an eighth.
      expect(seen!.allocated).toBeLessThan((before + 64 * MIB + MIB) * 1.125);
      expect(seen!.memoryBytes).toBe(before);
      expect(index.memoryBytes).toBe(before);
    },
  );
});

describe('memoryBytes', () => {
  afterEach(() => vi.unstubAllGlobals());

  it.each(SPECS)(
    'is what a loaded index has allocated, but for what memory grows by ahead of need (%s)',
    async (_, spec) => {
      const file = await fileOf(await buildOf(spec, seededVectors(5_000, 24, 1)));
      const memories: WebAssembly.Memory[] = [];
      class Watched extends WebAssembly.Memory {
        constructor(descriptor: { initial: number; maximum: number; shared: boolean }) {
          super(descriptor);
          memories.push(this);
        }
      }
      vi.stubGlobal('WebAssembly', Object.assign(Object.create(WebAssembly) as object, { Memory: Watched }));
      const index = await loadIndex(file);
      expect(memories).toHaveLength(1);
      const allocated = memories[0]!.buffer.byteLength;
      expect(index.memoryBytes).toBeGreaterThan(5_000 * 24 * 4);
      expect(index.memoryBytes).toBeLessThanOrEqual(allocated);
      expect(allocated).toBeLessThan(index.memoryBytes * 1.13 + 65_536);
      for (let i = 0; i < 20; i++) await index.searchBatch(new Float32Array(24 * 100).fill(i), { k: 10 });
      expect(memories[0]!.buffer.byteLength - allocated).toBeLessThan(allocated / 4 + MIB);
    },
  );
});

describe('a file whose checksums are right', () => {
  it.each(SPECS)('is refused when a row holds a number that is not finite (%s)', async (_, spec) => {
    const size = 300;
    const dim = 7;
    const index = await buildOf(spec, seededVectors(size, dim, 1));
    const sections = await sectionsOf(await fileOf(index));
    for (const value of [NaN, Infinity, -Infinity]) {
      for (const at of [0, 5, 1_000, size * dim - 1]) {
        const vectors = Float32Array.from(new Float32Array(Uint8Array.from(sections['vectors']!).buffer));
        vectors[at] = value;
        const damaged = { ...sections, vectors: new Uint8Array(vectors.buffer) };
        await expect(loadWith(index, damaged)).rejects.toMatchObject({
          code: 'corruptArtifact',
          message: expect.stringContaining('finite') as string,
        });
      }
    }
    expect((await loadWith(index, sections)).size).toBe(size);
  });
});

describe('the thread that builds or loads', () => {
  const dim = 256;
  const size = 18_000;
  const random = seededRandom(1);
  const rows = Array.from({ length: size }, () => Float32Array.from({ length: dim }, random));
  /** Loops over all rows, or bytes of them, pause so often at least. */
  const pausesOfRows = Math.floor((size * dim) / MIB);

  /** How often others had a turn while `work` went on. */
  async function turnsDuring(work: () => Promise<unknown>, each?: (turn: number) => void): Promise<number> {
    let turns = 0;
    let next = setImmediate(function turn() {
      turns++;
      each?.(turns);
      next = setImmediate(turn);
    });
    try {
      await work();
    } finally {
      clearImmediate(next);
    }
    return turns;
  }

  /** `builds`, `loads`: loops over all rows. */
  it.each([
    ['exact tree', TREE, { builds: 1, loads: 2 }],
    ['forest', FOREST, { builds: 1, loads: 2 }],
    ['lsh', LSH, { builds: 2, loads: 2 }],
    ['deepHash', HASH, { builds: 2, loads: 2 }],
  ] as const)('lets others have their turns, and an abort takes effect at any of them (%s)', async (_, spec, loops) => {
    let file: Buffer | undefined;
    const build = async (signal?: AbortSignal): Promise<void> => {
      const builder = createBuilder(spec, dim);
      for (const row of rows) builder.add(row);
      const index = await builder.build(signal);
      file = await fileOf(index);
    };
    const started = createBuilder(spec, dim);
    for (const row of rows) started.add(row);
    const index = await (async () => {
      let built: Awaited<ReturnType<typeof started.build>> | undefined;
      const turns = await turnsDuring(async () => (built = await started.build()));
      expect(turns).toBeGreaterThanOrEqual(loops.builds * pausesOfRows);
      for (const share of [0.1, 0.5, 0.9]) {
        const controller = new AbortController();
        const at = Math.max(1, Math.floor(turns * share));
        const aborted = turnsDuring(
          () => build(controller.signal),
          (turn) => turn === at && controller.abort(),
        );
        await expect(aborted).rejects.toMatchObject({ code: 'cancelled' });
      }
      return built!;
    })();
    expect(file).toBeUndefined();
    file = await fileOf(index);
    expect(await turnsDuring(() => loadIndex(file!))).toBeGreaterThanOrEqual(loops.loads * pausesOfRows);
  });
});
