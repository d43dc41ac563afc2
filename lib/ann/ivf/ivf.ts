import type { AnnIndex, AnnMachine, IvfSpec, Neighbours, SearchOptions } from '../../../contracts/ann.ts';
import { countBits } from '../bitmap.ts';
import { encodeIndexFile } from '../index-file.ts';
import type { IndexKindModule } from '../kind.ts';
import { Rows } from '../rows.ts';
import { nprobeFor } from './auto.ts';
import { searchMany } from './batch.ts';
import { buildIvf } from './build.ts';
import { checkIvf, withParts } from './check.ts';
import { loadIvf } from './load.ts';
import { imbalanceOf, PARTS } from './parts.ts';
import type { Descriptor, Layout, PlacedIvf } from './parts.ts';
import { kernelCall, readAnswers, searchRoom } from './search-call.ts';
import type { Effort } from './search-call.ts';

/**
 * An inverted file (Jegou, Douze & Schmid 2011, section IV): rows are laid into lists by their nearest of `numLists` centres,
 * and a query looks only at the lists of its `nprobe` nearest centres.
 */
export class IvfIndex implements AnnIndex {
  readonly spec: IvfSpec;
  readonly layout: Layout;
  readonly #rows: Rows;
  readonly #machine: AnnMachine;
  readonly #descriptor: Descriptor;

  constructor(spec: IvfSpec, { layout, descriptor }: PlacedIvf, machine: AnnMachine) {
    this.spec = spec;
    this.layout = layout;
    this.#rows = new Rows(layout.vectors, spec.metric);
    this.#machine = machine;
    this.#descriptor = descriptor;
  }

  get dim(): number {
    return this.layout.vectors.dim;
  }
  get size(): number {
    return this.layout.vectors.size;
  }
  get memoryBytes(): number {
    return this.layout.vectors.kernels.usedBytes;
  }
  get numLists(): number {
    return this.layout.numLists;
  }
  /** Rows that a query meets in the list of a random row, relative to lists of equal length: 1 is perfect balance. */
  get imbalance(): number {
    return imbalanceOf(this.layout);
  }

  search(query: Float32Array, options: SearchOptions): Neighbours {
    const ready = this.#rows.ready(query, options);
    return this.#answer(ready, options, this.#effort(options));
  }

  async searchBatch(queries: Float32Array, options: SearchOptions): Promise<Neighbours[]> {
    const effort = this.#effort(options);
    const asked = { queries, rows: this.#rows, descriptor: this.#descriptor.address, machine: this.#machine };
    return searchMany({ ...asked, options, effort, retry: (query) => this.#answer(query, options, wider(effort)) });
  }

  /** Looks at more and more lists until there are as many answers as there can be. */
  #answer(ready: Float32Array, options: SearchOptions, first: Effort): Neighbours {
    if (first.wanted === 0) return { rows: new Int32Array(), scores: new Float32Array(), plan: first.plan };
    const { kernels } = this.layout.vectors;
    for (let effort = first; ; effort = wider(effort)) {
      const [answer] = kernels.scratch(() => {
        const bitmap = this.#placeBitmap(options.allowed);
        const room = searchRoom(kernels, this.#descriptor.address, this.dim, 1, effort);
        kernels.f32(room.queries, this.dim).set(ready);
        const { name, args } = kernelCall(this.#descriptor.address, room, 1, effort, bitmap);
        kernels.run[name](...args);
        return readAnswers(kernels, room, 1, effort);
      });
      if (answer!.rows.length >= effort.wanted || effort.plan === 'scan') return answer!;
    }
  }

  #placeBitmap(allowed: Uint32Array | undefined): number {
    const words = Math.ceil(this.size / 32);
    return allowed === undefined ? 0 : this.layout.vectors.kernels.place(allowed.subarray(0, words));
  }

  /**
   * How to look. With a filter, as many more lists as it takes to meet as many allowed rows as without; where that is all of
   * them, each allowed row is compared.
   */
  #effort(options: SearchOptions): Effort {
    const { numLists, codesKind } = this.layout;
    const numAllowed = options.allowed === undefined ? this.size : countBits(options.allowed, this.size);
    const wanted = Math.min(options.k, numAllowed);
    const nprobe = nprobeFor(options.nprobe ?? this.spec.nprobe, numLists);
    const widened = numAllowed === 0 ? numLists : Math.ceil((nprobe * this.size) / numAllowed);
    const rescore = options.rescore ?? this.spec.rescore;
    const isFlat = codesKind === 0;
    const numCandidates = isFlat ? wanted : wanted * Math.max(1, rescore);
    const isAll = numCandidates >= this.size || (numAllowed < this.size && widened >= numLists);
    const isScan = options.exact === true || isAll;
    return {
      ...{ wanted, numLists, nprobe: Math.min(widened, numLists), plan: isScan ? 'scan' : 'lists' },
      ...{ numCandidates, rescore: !isFlat && rescore > 0 },
    };
  }

  vector(row: number): Float32Array {
    const { kernels, data, dim, size } = this.layout.vectors;
    const at = kernels.i32(this.#descriptor.positions, size)[row]!;
    return Float32Array.from(data.subarray(at * dim, (at + 1) * dim));
  }

  serialise(): Promise<Uint8Array[]> {
    const { kernels } = this.layout.vectors;
    const sections: Record<string, Uint8Array> = { vectors: this.#rows.bytes() };
    for (const name of PARTS) {
      const part = this.layout.parts[name];
      if (part !== undefined) sections[name] = kernels.u8(part.address, part.bytes);
    }
    return encodeIndexFile(this, sections);
  }
}

function wider(effort: Effort): Effort {
  if (effort.nprobe >= effort.numLists) return { ...effort, plan: 'scan' };
  return { ...effort, nprobe: Math.min(effort.numLists, effort.nprobe * 4) };
}

export const ivf: IndexKindModule<IvfSpec> = {
  bounds: { numLists: [0, 1_000_000], nprobe: [0, 1_000_000], rescore: [0, 1000], seed: [0, 0xffffffff] },
  check: checkIvf,
  async build(spec, vectors, options) {
    return new IvfIndex(spec, await buildIvf(withParts(spec, vectors.dim), vectors, options), options.machine);
  },
  load(spec, vectors, { machine, section }) {
    return Promise.resolve(new IvfIndex(spec, loadIvf(withParts(spec, vectors.dim), vectors, section), machine));
  },
};
