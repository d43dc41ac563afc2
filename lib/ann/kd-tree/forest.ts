import type { KdTreeSpec } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import { copyInPieces, inPieces } from '../pause.ts';
import { liftOf, squaresAround } from '../row-spread.ts';
import type { Vectors } from '../vectors.ts';

/** Complete binary trees over the rows, where the kernels see them; `assembly/kd-tree-layout.ts` tells the layout. */
export interface Forest {
  readonly vectors: Vectors;
  readonly address: number;
  readonly depth: number;
  /** Nodes of one tree. */
  readonly numNodes: number;
  /** i32 [trees, size]: each tree's rows in the order of its leaves. */
  readonly order: Int32Array;
  sections(): Record<string, Uint8Array>;
  /** Fills in what `sections` told. @throws LookalikeError `corruptArtifact` */
  read(section: (name: string) => Uint8Array): Promise<void>;
}

export function isExactTree({ trees, checks }: KdTreeSpec): boolean {
  return trees === 1 && checks === 0;
}

/** Makes room for a forest; nothing is in it yet. @throws LookalikeError `cancelled` */
export async function placeForest(spec: KdTreeSpec, vectors: Vectors, signal?: AbortSignal): Promise<Forest> {
  const { kernels, dim, size } = vectors;
  const depth = size === 0 ? 0 : Math.max(0, Math.ceil(Math.log2(size / spec.leafSize)));
  const numInner = 2 ** depth - 1;
  const numNodes = 2 * numInner + 1;
  const isExact = isExactTree(spec);
  const order = kernels.allocate(spec.trees * size * 4);
  const axes = kernels.allocate(spec.trees * numInner * 4);
  const values = kernels.allocate(spec.trees * numInner * 4);
  const boxes = isExact ? kernels.allocate(numNodes * (2 * dim + 1) * 4) : 0;
  // An exact tree needs no added coordinate: its boxes bound the inner product itself.
  const isLifted = spec.metric === 'innerProduct' && !isExact;
  const origin = new Float32Array(dim);
  const lift = isLifted ? kernels.place(liftOf(await squaresAround(vectors, origin, signal))) : 0;
  const zeros = kernels.place(origin);
  const fields = [vectors.address, dim, size, spec.metric === 'l2' ? 1 : 0, depth, spec.trees];
  const header = Int32Array.from([...fields, order, axes, values, boxes, lift, zeros, 0]);
  // Sums of dim / 16 terms in each lane, each rounded to 2^-24 of itself, on both sides of the comparison; and some more.
  new Float32Array(header.buffer)[header.length - 1] = 1e-6 + dim * 1e-8;
  const address = kernels.place(header);

  const parts = {
    order: kernels.i32(order, spec.trees * size),
    cutAxes: kernels.i32(axes, spec.trees * numInner),
    cutValues: kernels.f32(values, spec.trees * numInner),
  };
  return {
    vectors,
    address,
    depth,
    numNodes,
    order: parts.order,
    sections: () => Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, bytesOf(part)])),
    async read(section) {
      for (const [name, part] of Object.entries(parts)) {
        const bytes = section(name);
        if (bytes.length !== part.byteLength) {
          throw corrupt(
            `${part.byteLength} bytes of \`${name}\` for ${spec.trees} trees of ${size} rows`,
            bytes.length,
          );
        }
        await copyInPieces(bytes, bytesOf(part));
      }
      const numAxes = dim + (lift === 0 ? 0 : 1);
      await checkAll('cutAxes', parts.cutAxes, `an axis below ${numAxes}`, (axis) => axis >= 0 && axis < numAxes);
      await checkAll('cutValues', parts.cutValues, 'a finite number', Number.isFinite);
      for (let tree = 0; tree < spec.trees; tree++) {
        const seen = new Uint8Array(size);
        const isNew = (row: number): boolean => seen[row] === 0 && (seen[row] = 1) === 1;
        await checkAll('order', parts.order.subarray(tree * size, (tree + 1) * size), 'every row once', isNew);
      }
    },
  };
}

function checkAll(
  name: string,
  values: Int32Array | Float32Array,
  expected: string,
  isRight: (value: number) => boolean,
): Promise<void> {
  return inPieces(values.length, 1, (from, to) => {
    for (let i = from; i < to; i++) if (!isRight(values[i]!)) throw corrupt(`${expected} in \`${name}\``, values[i]!);
  });
}

function corrupt(expected: string, got: number): LookalikeError {
  return new LookalikeError('corruptArtifact', `Expected of the KD-tree ${expected}, got ${got}. Rebuild the index.`);
}

const bytesOf = (view: Int32Array | Float32Array): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
