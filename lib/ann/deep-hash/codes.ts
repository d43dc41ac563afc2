import type { DeepHashSpec } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import { copyInPieces } from '../pause.ts';
import type { Vectors } from '../vectors.ts';

/** Binary codes where the kernels see them; `assembly/hamming-layout.ts` tells the layout. */
export interface Codes {
  readonly vectors: Vectors;
  readonly address: number;
  /** Filled in by name: the functions (see `LinearCode`), then the codes, u8 [size, bits / 8]. */
  readonly parts: {
    readonly weights: Float32Array;
    readonly rowBias: Float32Array;
    readonly queryBias: Float32Array;
    readonly codes: Uint8Array;
  };
  /** Lets rows have the added coordinate at this address while they are encoded; 0: none. */
  setLift(address: number): void;
  sections(): Record<string, Uint8Array>;
  /** Fills in what `sections` told. @throws LookalikeError `corruptArtifact` */
  read(section: (name: string) => Uint8Array): Promise<void>;
}

/** Place of `lift` among the header's fields. */
const LIFT_FIELD = 8;

/** Makes room for codes; nothing is in it yet. */
export function placeCodes({ bits, metric }: DeepHashSpec, vectors: Vectors): Codes {
  const { kernels, dim, size } = vectors;
  const codeBytes = bits / 8;
  const weights = kernels.allocate((dim + 1) * bits * 4);
  const rowBias = kernels.allocate(bits * 4);
  const queryBias = kernels.allocate(bits * 4);
  const codes = kernels.allocate(size * codeBytes);
  const fields = [vectors.address, dim, size, metric === 'l2' ? 1 : 0, bits, weights, rowBias, queryBias, 0, codes];
  const address = kernels.place(Int32Array.from(fields));
  const parts = {
    weights: kernels.f32(weights, (dim + 1) * bits),
    rowBias: kernels.f32(rowBias, bits),
    queryBias: kernels.f32(queryBias, bits),
    codes: kernels.u8(codes, size * codeBytes),
  };
  return {
    vectors,
    address,
    parts,
    setLift: (lift) => (kernels.i32(address, fields.length)[LIFT_FIELD] = lift),
    sections: () => Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, bytesOf(part)])),
    async read(section) {
      for (const [name, part] of Object.entries(parts)) {
        const bytes = section(name);
        if (bytes.length !== part.byteLength) {
          throw corrupt(`${part.byteLength} bytes of \`${name}\` for ${size} rows of ${bits} bits`, bytes.length);
        }
        await copyInPieces(bytes, bytesOf(part));
        if (!(part instanceof Float32Array)) continue;
        for (const value of part) if (!Number.isFinite(value)) throw corrupt(`finite numbers in \`${name}\``, value);
      }
    },
  };
}

function corrupt(expected: string, got: number): LookalikeError {
  return new LookalikeError('corruptArtifact', `Expected of the codes ${expected}, got ${got}. Rebuild the index.`);
}

const bytesOf = (view: Float32Array | Uint8Array): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
