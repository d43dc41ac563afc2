import type { AnnIndex, AnnMachine, IndexSpec } from '../../contracts/ann.ts';
import type { Vectors } from './vectors.ts';

export interface BuildOptions {
  machine: AnnMachine;
  signal?: AbortSignal;
  onProgress?: (rowsDone: number) => void;
}

export interface LoadOptions {
  machine: AnnMachine;
  /** A checked section of the file. @throws LookalikeError `corruptArtifact` when there is none of that name */
  section: (name: string) => Uint8Array;
}

/** One kind of index: how it is checked, built from rows, and read back from its own sections of the file. */
export interface IndexKindModule<S extends IndexSpec> {
  /** The parameters that are whole numbers, with their inclusive bounds. */
  bounds: Readonly<Record<string, readonly [min: number, max: number]>>;
  /** What bounds cannot say. @throws LookalikeError `invalidInput` */
  check?: (spec: S, dim: number) => void;
  build: (spec: S, vectors: Vectors, options: BuildOptions) => Promise<AnnIndex>;
  load: (spec: S, vectors: Vectors, options: LoadOptions) => Promise<AnnIndex>;
}
