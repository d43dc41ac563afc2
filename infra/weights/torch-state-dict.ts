import { LookalikeError } from '../../contracts/errors.ts';
import type { Callable, PickleHooks, PickleValue } from './pickle.ts';
import { readPickle } from './pickle.ts';

/** One tensor of a state dict, row-major. Integer tensors (counters) are left out: no layer has integer weights. */
export interface TorchTensor {
  shape: number[];
  data: Float32Array;
}

/** First pickle of a file written by `torch.save` before its zip format: a number that only says what the file is. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
const ITEM_BYTES: Record<string, number> = { 'torch FloatStorage': 4, 'torch LongStorage': 8 };

interface StorageRef {
  key: string;
  dtype: string;
  length: number;
}
interface TensorRef {
  storage: StorageRef;
  offset: number;
  shape: number[];
  /** Values to step over per side: a permuted tensor keeps the storage of its original. */
  strides: number[];
}

/**
 * Reads a `.pth` file of tensors without PyTorch: magic, protocol and system pickles, the dict, the storages' order, then
 * each storage as a 64-bit length and raw little-endian values.
 * @throws LookalikeError `invalidInput` when it holds anything but plain tensors
 */
export function readTorchStateDict(bytes: Uint8Array): Map<string, TorchTensor> {
  let offset = 0;
  const next = (hooks: PickleHooks): PickleValue => {
    const { value, end } = readPickle(bytes, offset, hooks);
    offset = end;
    return value;
  };
  if (next(dataOnly) !== MAGIC) throw refused('Expected the legacy torch.save magic number, got another value');
  const protocol = next(dataOnly);
  if (protocol !== PROTOCOL) throw refused(`Expected protocol ${PROTOCOL}, got ${JSON.stringify(protocol)}`);
  next(dataOnly);
  const dict = next(stateDictHooks());
  const order = next(dataOnly);
  if (!(dict instanceof Map) || !Array.isArray(order)) throw refused('Expected a dict and a list of storages');
  const refs = new Map([...dict].map(([name, value]) => [String(name as string), tensorRef(name, value)]));
  const storages = readStorages(bytes, offset, order, refs);
  return new Map(
    [...refs]
      .filter(([, ref]) => ref.storage.dtype === 'torch FloatStorage')
      .map(([name, ref]) => [name, tensor(name, ref, storages)]),
  );
}

const dataOnly: PickleHooks = {
  resolveGlobal: () => undefined,
  resolvePersistent: () => {
    throw refused('Expected no storage outside the dict');
  },
};

/** The only names a state dict needs. `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`. */
function stateDictHooks(): PickleHooks {
  const known: Callable[] = [
    { name: 'collections OrderedDict', call: () => new Map() },
    { name: 'torch._utils _rebuild_tensor_v2', call: rebuildTensor },
    ...Object.keys(ITEM_BYTES).map((name) => ({ name })),
  ];
  return {
    resolveGlobal: (name) => known.find((callable) => callable.name === name),
    resolvePersistent: (id) => {
      const [tag, dtype, key, , length] = Array.isArray(id) ? id : [];
      if (tag !== 'storage' || typeof key !== 'string' || typeof length !== 'number' || !isNamed(dtype)) {
        throw refused('Expected a storage reference');
      }
      return { opaque: { key, dtype: dtype.name, length } satisfies StorageRef };
    },
  };
}

function rebuildTensor([storage, offset, size, stride]: PickleValue[]): PickleValue {
  const shape = numbers(size);
  const strides = numbers(stride);
  if (shape.length !== strides.length) throw refused('Expected a stride for each side of a tensor');
  if (!isOpaque(storage) || typeof offset !== 'number') throw refused('Expected a tensor over a storage');
  return { opaque: { storage: storage.opaque as StorageRef, offset, shape, strides } satisfies TensorRef };
}

function readStorages(
  bytes: Uint8Array,
  start: number,
  order: PickleValue[],
  refs: Map<string, TensorRef>,
): Map<string, { dtype: string; data: Uint8Array }> {
  const declared = new Map([...refs.values()].map(({ storage }) => [storage.key, storage]));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const storages = new Map<string, { dtype: string; data: Uint8Array }>();
  let at = start;
  for (const key of order) {
    const storage = typeof key === 'string' ? declared.get(key) : undefined;
    if (storage === undefined || storages.has(storage.key)) throw refused('Expected each declared storage once');
    const size = storage.length * ITEM_BYTES[storage.dtype]!;
    if (at + 8 + size > bytes.length) throw refused(`Expected ${size} bytes of weights at ${at}, got the file's end`);
    const length = Number(view.getBigInt64(at, true));
    if (length !== storage.length) throw refused(`Expected a storage of ${storage.length} values, got ${length}`);
    storages.set(storage.key, { dtype: storage.dtype, data: Uint8Array.from(bytes.subarray(at + 8, at + 8 + size)) });
    at += 8 + size;
  }
  if (at !== bytes.length) throw refused(`Expected the file to end at byte ${at}, got ${bytes.length} bytes`);
  return storages;
}

function tensor(name: string, ref: TensorRef, storages: Map<string, { data: Uint8Array }>): TorchTensor {
  const bytes = storages.get(ref.storage.key)?.data;
  const last = ref.shape.reduce((sum, side, axis) => sum + (side - 1) * ref.strides[axis]!, ref.offset);
  if (bytes === undefined || ref.offset < 0 || ref.shape.includes(0) || (last + 1) * 4 > bytes.length) {
    throw refused(`Expected tensor "${name}" to lie inside its storage`);
  }
  const stored = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  // A stride of zero would let a few bytes claim a tensor of any size.
  if (ref.shape.reduce((product, side) => product * side, 1) > stored.length) {
    throw refused(`Expected tensor "${name}" to have at most as many values as its storage`);
  }
  return { shape: ref.shape, data: gather(stored, ref) };
}

/** Row-major copy of a strided view. */
function gather(stored: Float32Array, { offset, shape, strides }: TensorRef): Float32Array {
  const data = new Float32Array(shape.reduce((product, side) => product * side, 1));
  const index = shape.map(() => 0);
  let from = offset;
  for (let i = 0; i < data.length; i++) {
    data[i] = stored[from]!;
    // Like an odometer: the last axis turns fastest.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return data;
}

function tensorRef(name: PickleValue, value: PickleValue): TensorRef {
  if (typeof name !== 'string' || !isOpaque(value)) throw refused('Expected a dict of names to tensors');
  return value.opaque as TensorRef;
}

function numbers(value: PickleValue | undefined): number[] {
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'number' && item >= 0)) {
    throw refused('Expected a shape of whole numbers');
  }
  return value as number[];
}

function isOpaque(value: PickleValue | undefined): value is { opaque: unknown } {
  return typeof value === 'object' && value !== null && 'opaque' in value;
}

function isNamed(value: PickleValue | undefined): value is Callable {
  return typeof value === 'object' && value !== null && 'name' in value;
}

function refused(message: string): LookalikeError {
  return new LookalikeError('invalidInput', `The weights file is not a plain PyTorch state dict. ${message}.`);
}
