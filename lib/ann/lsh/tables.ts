import type { LshSpec } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import { copyInPieces, inPieces } from '../pause.ts';
import type { Vectors } from '../vectors.ts';
import { signBits } from './sign-bits.ts';

/** A cross-polytope of more dimensions tells hardly more apart, and one rotation of a long vector gives several of these. */
const MAX_POLYTOPE_DIM = 128;
/** Keys are 32-bit numbers. */
const MAX_KEY_BITS = 32;

/** How vectors of `dim` numbers are hashed. */
export interface Shape {
  /** Power of two, at least dim + 1, in which vectors are rotated. */
  width: number;
  /** Coordinates that a hash function reads, and bits that it gives. */
  functionDim: number;
  functionBits: number;
  numRotations: number;
  keyBits: number;
}

/** @throws LookalikeError `invalidInput` when the bits of a table's functions do not fit a key */
export function shapeOf({ family, tables, bits }: LshSpec, dim: number): Shape {
  const width = Math.max(4, 2 ** Math.ceil(Math.log2(dim + 1)));
  const functionDim = family === 'hyperplane' ? 1 : Math.min(width, MAX_POLYTOPE_DIM);
  const functionBits = family === 'hyperplane' ? 1 : Math.log2(2 * functionDim);
  const keyBits = bits * functionBits;
  if (keyBits > MAX_KEY_BITS) {
    const most = Math.floor(MAX_KEY_BITS / functionBits);
    throw new LookalikeError(
      'invalidInput',
      `Expected \`bits\` to be at most ${most}, since each rotation of ${dim} dimensions gives ${functionBits} bits of a ` +
        `${MAX_KEY_BITS}-bit key, got ${bits}.`,
    );
  }
  return { width, functionDim, functionBits, numRotations: Math.ceil((tables * bits * functionDim) / width), keyBits };
}

/** Hash tables where the kernels see them; `assembly/lsh-layout.ts` tells the layout. */
export interface Tables {
  readonly vectors: Vectors;
  readonly address: number;
  readonly shape: Shape;
  sections(): Record<string, Uint8Array>;
  /** Fills in what `sections` told. @throws LookalikeError `corruptArtifact` */
  read(section: (name: string) => Uint8Array): Promise<void>;
  /** Rows that share a row's bucket, on average over rows and tables: what a probe costs. */
  meanBucket(): Promise<number>;
}

/** What the rows alone tell: see `sphereOf`. */
export interface Sphere {
  centre: Float32Array;
  radiusSquared: number;
}

/** Makes room for tables; nothing is in them yet. */
export function placeTables(spec: LshSpec, vectors: Vectors, sphere: Sphere): Tables {
  const { kernels, dim, size } = vectors;
  const shape = shapeOf(spec, dim);
  const { width, functionDim, functionBits, numRotations, keyBits } = shape;
  // About one row for each range of the directory; what a key tells beyond is compared.
  const directoryBits = Math.min(keyBits, Math.max(1, Math.ceil(Math.log2(size + 1))));
  const ranges = 2 ** directoryBits;
  const rows = kernels.allocate(spec.tables * size * 4);
  const keys = keyBits > directoryBits ? kernels.allocate(spec.tables * size * 4) : 0;
  const directory = kernels.allocate(spec.tables * (ranges + 1) * 4);
  const signs = kernels.place(signBits(numRotations * 3 * width, spec.seed));
  const centre = kernels.place(sphere.centre);
  const fields = [vectors.address, dim, size, spec.metric === 'l2' ? 1 : 0, spec.tables, spec.bits];
  const hashing = [functionDim, functionBits, width, numRotations, signs, centre, 0];
  const isQueryFlat = spec.metric === 'innerProduct' ? 1 : 0;
  const header = Int32Array.from([...fields, ...hashing, isQueryFlat, keyBits, directoryBits, directory, rows, keys]);
  new Float32Array(header.buffer)[fields.length + hashing.length - 1] = sphere.radiusSquared;
  const address = kernels.place(header);

  const parts: Record<string, Uint32Array> = {
    rows: kernels.u32(rows, spec.tables * size),
    directory: kernels.u32(directory, spec.tables * (ranges + 1)),
    ...(keys === 0 ? {} : { keys: kernels.u32(keys, spec.tables * size) }),
  };
  return {
    vectors,
    address,
    shape,
    sections: () => ({
      sphere: bytesOf(Float32Array.from([...sphere.centre, sphere.radiusSquared])),
      ...Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, bytesOf(part)])),
    }),
    async read(section) {
      for (const [name, part] of Object.entries(parts)) {
        const bytes = section(name);
        if (bytes.length !== part.byteLength) {
          throw corrupt(
            `${part.byteLength} bytes of \`${name}\` for ${spec.tables} tables of ${size} rows`,
            bytes.length,
          );
        }
        await copyInPieces(bytes, bytesOf(part));
      }
      await checkTables(parts.rows!, parts.directory!, spec.tables, size);
    },
    async meanBucket() {
      // Queries of the inner product are not where the rows are: what their buckets hold is not known.
      if (spec.metric === 'innerProduct') return 1;
      const directory = parts.directory!;
      let squares = 0;
      await inPieces(directory.length, 1, (from, to) => {
        for (let i = from; i < to; i++) {
          const isEnd = i % (ranges + 1) === ranges;
          if (!isEnd) squares += (directory[i + 1]! - directory[i]!) ** 2;
        }
      });
      return size === 0 ? 0 : squares / spec.tables / size;
    },
  };
}

/** Every entry is a row and every range lies within its table. */
async function checkTables(rows: Uint32Array, directory: Uint32Array, tables: number, size: number): Promise<void> {
  await inPieces(rows.length, 1, (from, to) => {
    for (let i = from; i < to; i++) if (rows[i]! >= size) throw corrupt(`rows below ${size}`, rows[i]!);
  });
  const perTable = directory.length / tables;
  await inPieces(directory.length, 1, (from, to) => {
    for (let i = from; i < to; i++) {
      const at = i % perTable;
      const before = at === 0 ? 0 : directory[i - 1]!;
      const isEnd = at === perTable - 1;
      if (directory[i]! < before || directory[i]! > size || (isEnd && directory[i] !== size)) {
        throw corrupt(`a directory that ascends to ${size}`, directory[i]!);
      }
    }
  });
}

export function corrupt(expected: string, got: number): LookalikeError {
  return new LookalikeError(
    'corruptArtifact',
    `Expected of the hash tables ${expected}, got ${got}. Rebuild the index.`,
  );
}

const bytesOf = (view: Uint32Array | Float32Array): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
