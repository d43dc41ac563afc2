import type { DeepHashSpec } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import type { BuildOptions, IndexKindModule, LoadOptions } from '../kind.ts';
import { throwIfAborted } from '../rows.ts';
import { runCalls } from '../run-calls.ts';
import type { Call } from '../run-calls.ts';
import { StructuredIndex } from '../structured-index.ts';
import type { Structure } from '../structured-index.ts';
import type { Vectors } from '../vectors.ts';
import { placeCodes } from './codes.ts';
import type { Codes } from './codes.ts';
import { linearCode } from './learn-code.ts';
import { codeSpace } from './training-set.ts';

/**
 * Binary codes compared by Hamming distance with every row; the best `rescore` k of them are compared in f32. With `rescore` 0
 * the codes decide and scores are 1 - 2 d / bits, an estimate of the rows' likeness that is comparable within an answer only.
 */
export type DeepHashIndex = StructuredIndex<DeepHashSpec>;

const BLOCK_ROWS = 8192;
/** Training's part of the progress of a build; the rest is encoding. */
const TRAINING_SHARE = 0.8;

function structureOf(spec: DeepHashSpec, codes: Codes, { kernels }: Vectors): Structure {
  return {
    kernel: 'hashSearch',
    address: codes.address,
    plan: 'codes',
    effort(options, numAllowed) {
      const rescore = options.rescore ?? spec.rescore;
      return numAllowed <= options.k * rescore ? undefined : rescore;
    },
    // Of one query times all: what many candidates of many queries take may be more than 32 bits can tell.
    scratchBytes: (k, rescore, count) => (kernels.run.hashScratch(codes.address, 1, k, rescore) >>> 0) * count,
    sections: () => codes.sections(),
  };
}

/** @throws LookalikeError `cancelled` | `nonFinite` */
async function build(
  spec: DeepHashSpec,
  vectors: Vectors,
  { machine, signal, onProgress }: BuildOptions,
): Promise<DeepHashIndex> {
  const { kernels, size } = vectors;
  const codes = placeCodes(spec, vectors);
  const pause = async (share: number): Promise<void> => {
    onProgress?.(Math.floor(share * TRAINING_SHARE * size));
    await new Promise((resume) => setImmediate(resume));
    throwIfAborted(signal);
  };
  await kernels.scratchAsync(async () => {
    const space = await codeSpace(vectors, spec.metric === 'innerProduct', signal);
    const learnt = await linearCode(kernels, vectors, space, spec, pause);
    for (const name of ['weights', 'rowBias', 'queryBias'] as const) codes.parts[name].set(learnt[name]);
    codes.setLift(space.lift === undefined ? 0 : kernels.place(space.lift));
    const blocks = Array.from({ length: Math.ceil(size / BLOCK_ROWS) }, (_, i): Call => {
      const from = i * BLOCK_ROWS;
      const scratch = kernels.allocate(16 * spec.bits * 4);
      return { name: 'hashEncode', args: [codes.address, from, Math.min(size, from + BLOCK_ROWS), scratch] };
    });
    await runCalls(kernels, machine, blocks, signal);
    codes.setLift(0);
  });
  onProgress?.(size);
  return new StructuredIndex(spec, vectors, structureOf(spec, codes, vectors), machine);
}

async function load(spec: DeepHashSpec, vectors: Vectors, { machine, section }: LoadOptions): Promise<DeepHashIndex> {
  const codes = placeCodes(spec, vectors);
  await codes.read(section);
  return new StructuredIndex(spec, vectors, structureOf(spec, codes, vectors), machine);
}

const CHOICES = { bits: [64, 128, 256], code: ['learned', 'hyperplane'] } as const;

export const deepHash: IndexKindModule<DeepHashSpec> = {
  bounds: { epochs: [0, 10_000], rescore: [0, 1000], seed: [0, 0xffffffff] },
  check(spec) {
    for (const name of ['bits', 'code'] as const) {
      if ((CHOICES[name] as readonly (string | number)[]).includes(spec[name])) continue;
      const choices = CHOICES[name].join(', ');
      throw new LookalikeError('invalidInput', `Expected \`${name}\` to be one of ${choices}, got ${spec[name]}.`);
    }
  },
  build,
  load,
};
