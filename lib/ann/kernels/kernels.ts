import { LookalikeError } from '../../../contracts/errors.ts';
import { KERNELS_BASE64 } from './wasm-module.ts';
import type { KernelName } from './wasm-module.ts';

export type KernelExports = Record<KernelName, (...args: number[]) => number>;

const PAGE_BYTES = 65_536;
/** wasm32 addresses 4 GiB; an index that needs more is cut into more shards. */
const MAX_PAGES = 65_536;
/** Nothing lies at address 0, so that 0 can mean "none". */
const FIRST_ADDRESS = 64;
const ALIGNMENT = 64;

let compiled: WebAssembly.Module | undefined;

/** One instance of the kernels on a memory; each thread that works on an index has its own. */
export function instantiateKernels(memory: WebAssembly.Memory): KernelExports {
  compiled ??= new WebAssembly.Module(Buffer.from(KERNELS_BASE64, 'base64'));
  const imports = { env: { memory, abort: abortKernel } };
  return new WebAssembly.Instance(compiled, imports).exports as unknown as KernelExports;
}

function abortKernel(): never {
  throw new Error('An index kernel stopped: its input is not what it was promised.');
}

/**
 * The memory of one index and the kernels that run on it. Data is placed once by `allocate`; a search places its query and
 * results on top with `scratch`, which gives the room back. Addresses are byte offsets; the memory is shared, so that other
 * threads work on the same rows without a copy, and it never moves: views stay valid when it grows.
 */
export class Kernels {
  readonly memory: WebAssembly.Memory;
  readonly run: KernelExports;
  #top = FIRST_ADDRESS;
  /** Scratches that are open, and where the first of them began. */
  #numOpen = 0;
  #dataTop = FIRST_ADDRESS;
  #longScratch: Promise<void> = Promise.resolve();

  constructor() {
    this.memory = new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES, shared: true });
    this.run = instantiateKernels(this.memory);
  }

  /** Bytes of index data, without the scratch that is open. */
  get usedBytes(): number {
    return this.#numOpen === 0 ? this.#top : this.#dataTop;
  }

  /**
   * The address of `bytes` new bytes at a multiple of 64. They hold whatever was there before. A size that a kernel tells is
   * unsigned, which JavaScript reads as negative from 2 GiB on; it is taken as what it was meant.
   * @throws LookalikeError `invalidInput` beyond 4 GiB
   */
  allocate(bytes: number): number {
    const address = this.#top;
    const wanted = bytes < 0 ? bytes + 2 ** 32 : bytes;
    const top = Math.ceil((address + wanted) / ALIGNMENT) * ALIGNMENT;
    const missing = Math.ceil(top / PAGE_BYTES) - this.memory.buffer.byteLength / PAGE_BYTES;
    if (top > MAX_PAGES * PAGE_BYTES) {
      throw new LookalikeError(
        'invalidInput',
        `Expected an index of at most 4 GiB in memory, and it needs ${(top / 2 ** 30).toFixed(1)} GiB. Raise numShards.`,
      );
    }
    // Grown by an eighth at least, so that placing row after row does not grow it page after page.
    if (missing > 0) this.memory.grow(Math.min(Math.max(missing, this.#headroom()), this.#pagesLeft()));
    this.#top = top;
    return address;
  }

  /** Places a copy; the address is a multiple of 64. */
  place(values: ArrayBufferView): number {
    const address = this.allocate(values.byteLength);
    this.u8(address, values.byteLength).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    return address;
  }

  /** Runs `use`, then frees all that it allocated. Not across an `await`: searches that overlap would free each other's. */
  scratch<T>(use: () => T): T {
    const top = this.#open();
    try {
      return use();
    } finally {
      this.#close(top);
    }
  }

  /** As `scratch`, kept over awaits: one use at a time, the next waits. A `scratch` in between nests in it. */
  async longScratch<T>(use: () => Promise<T>): Promise<T> {
    const before = this.#longScratch;
    let free!: () => void;
    this.#longScratch = new Promise((resolve) => (free = resolve));
    await before;
    const top = this.#open();
    try {
      return await use();
    } finally {
      this.#close(top);
      free();
    }
  }

  /**
   * As `scratch`, over pauses: for builds, and within a `longScratch`, where nothing else is kept over pauses. What scratch is
   * opened meanwhile lies above and is closed before.
   */
  async scratchAsync<T>(use: () => Promise<T>): Promise<T> {
    const top = this.#open();
    try {
      return await use();
    } finally {
      this.#close(top);
    }
  }

  f32(address: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, length);
  }
  i32(address: number, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, address, length);
  }
  u32(address: number, length: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, address, length);
  }
  u8(address: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, address, length);
  }

  #open(): number {
    if (this.#numOpen++ === 0) this.#dataTop = this.#top;
    return this.#top;
  }
  #close(top: number): void {
    this.#top = top;
    this.#numOpen--;
  }

  #headroom(): number {
    return Math.ceil(this.memory.buffer.byteLength / PAGE_BYTES / 8);
  }
  #pagesLeft(): number {
    return MAX_PAGES - this.memory.buffer.byteLength / PAGE_BYTES;
  }
}
