import type { AnnMachine, LshSpec } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import type { BuildOptions, IndexKindModule, LoadOptions } from '../kind.ts';
import { runCalls } from '../run-calls.ts';
import type { Call } from '../run-calls.ts';
import { StructuredIndex } from '../structured-index.ts';
import type { Structure } from '../structured-index.ts';
import type { Vectors } from '../vectors.ts';
import { sphereOf, storedSphere } from './sphere.ts';
import { placeTables, shapeOf } from './tables.ts';
import type { Tables } from './tables.ts';

/**
 * Hash tables by random hyperplanes (Charikar 2002) or cross-polytopes (Andoni et al. 2015), directions of both taken from
 * pseudo-random rotations, so that hyperplanes are orthogonal in groups (Ji et al. 2012). Rows of every metric are hashed as
 * points of a sphere around their mean, by one more coordinate (see `sphereOf`); candidates are compared by the metric
 * itself.
 */
export type LshIndex = StructuredIndex<LshSpec>;

/** Rows that one call hashes. */
const BLOCK_ROWS = 4096;
/** With a filter, probes grow by the inverse of the share that it lets through, but not beyond this. */
const MAX_FILTER_FACTOR = 16;

async function structureOf(spec: LshSpec, tables: Tables): Promise<Structure> {
  const { vectors, address } = tables;
  const meanBucket = await tables.meanBucket();
  return {
    kernel: 'lshSearch',
    address,
    plan: 'buckets',
    effort(options, numAllowed) {
      const probes = options.probes ?? spec.probes;
      // Buckets hold so many rows again for each that the filter lets through: more of them, and the same comparisons.
      const factor = Math.min(vectors.size / numAllowed, MAX_FILTER_FACTOR);
      return numAllowed <= probes * meanBucket ? undefined : Math.ceil(probes * factor);
    },
    scratchBytes: (_k, probes) => vectors.kernels.run.lshScratch(address, probes) >>> 0,
    sections: () => tables.sections(),
  };
}

/** @throws LookalikeError `cancelled` */
async function build(
  spec: LshSpec,
  vectors: Vectors,
  { machine, signal, onProgress }: BuildOptions,
): Promise<LshIndex> {
  const { kernels, size } = vectors;
  const tables = placeTables(spec, vectors, await sphereOf(vectors, spec.metric, signal));
  const { address, shape } = tables;
  const { numRotations, width } = shape;
  await kernels.scratchAsync(async () => {
    const keys = kernels.allocate(spec.tables * size * 4);
    await waves(size, BLOCK_ROWS, machine, async (starts) => {
      await kernels.scratchAsync(async () => {
        const calls = starts.map((from): Call => {
          const to = Math.min(size, from + BLOCK_ROWS);
          return { name: 'lshHash', args: [address, from, to, keys, kernels.allocate(numRotations * width * 4)] };
        });
        await runCalls(kernels, machine, calls, signal);
      });
      onProgress?.(Math.min(size, starts.at(-1)! + BLOCK_ROWS));
    });
    await waves(spec.tables, 1, machine, (starts) =>
      kernels.scratchAsync(async () => {
        const calls = starts.map((table): Call => {
          const scratch = kernels.allocate(size * 8 + 2048 * 4);
          return { name: 'lshFill', args: [address, table, keys + table * size * 4, scratch] };
        });
        await runCalls(kernels, machine, calls, signal);
      }),
    );
  });
  return new StructuredIndex(spec, vectors, await structureOf(spec, tables), machine);
}

/** Runs `use` with the starts of a few blocks at a time, so that scratch does not grow with the work. */
async function waves(
  count: number,
  step: number,
  machine: AnnMachine,
  use: (starts: number[]) => Promise<void>,
): Promise<void> {
  const perWave = (machine.threads?.size ?? 1) * 2;
  for (let start = 0; start < count; start += step * perWave) {
    const left = Math.ceil((count - start) / step);
    await use(Array.from({ length: Math.min(perWave, left) }, (_, i) => start + i * step));
  }
}

async function load(spec: LshSpec, vectors: Vectors, { machine, section }: LoadOptions): Promise<LshIndex> {
  const tables = placeTables(spec, vectors, storedSphere(section('sphere'), vectors.dim));
  await tables.read(section);
  return new StructuredIndex(spec, vectors, await structureOf(spec, tables), machine);
}

const FAMILIES: readonly string[] = ['hyperplane', 'crossPolytope'] satisfies LshSpec['family'][];

export const lsh: IndexKindModule<LshSpec> = {
  bounds: { tables: [1, 512], bits: [1, 32], probes: [1, 1_000_000], seed: [0, 0xffffffff] },
  check({ family, ...spec }, dim) {
    if (!FAMILIES.includes(family)) {
      throw new LookalikeError(
        'invalidInput',
        `Expected \`family\` to be one of ${FAMILIES.join(', ')}, got ${String(family)}.`,
      );
    }
    shapeOf({ family, ...spec }, dim);
  },
  build,
  load,
};
