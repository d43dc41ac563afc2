/** The few pickle opcodes of a state dict, to write good and hostile files by hand. */
const u8 = (...values: number[]): Buffer => Buffer.from(values);
export const text = (value: string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(Buffer.byteLength(value));
  return Buffer.concat([u8(0x58), length, Buffer.from(value)]);
};
export const int = (value: number): Buffer => {
  const bytes = Buffer.alloc(5);
  bytes[0] = 0x4a;
  bytes.writeInt32LE(value, 1);
  return bytes;
};
export const tuple = (...items: Buffer[]): Buffer => Buffer.concat([u8(0x28), ...items, u8(0x74)]);
export const list = (...items: Buffer[]): Buffer => Buffer.concat([u8(0x5d, 0x28), ...items, u8(0x65)]);
export const global = (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`);
export const call = (callable: Buffer, args: Buffer): Buffer => Buffer.concat([callable, args, u8(0x52)]);
export const persistent = (id: Buffer): Buffer => Buffer.concat([id, u8(0x51)]);
export const pickle = (body: Buffer): Buffer => Buffer.concat([u8(0x80, 2), body, u8(0x2e)]);
export const dict = (...items: Buffer[]): Buffer => Buffer.concat([u8(0x7d, 0x28), ...items, u8(0x75)]);
const MAGIC = Buffer.concat([u8(0x8a, 10), Buffer.from('6cfc9c46f9206aa85019', 'hex')]);

export interface TensorSpec {
  name: string;
  shape: number[];
  strides: number[];
  values: number[];
  offset?: number;
  /** What the pickle claims the storage's length to be; the truth by default. */
  claimed?: number;
}

/** A file as `torch.save(state_dict, path, _use_new_zipfile_serialization=False)` lays it out. */
export function torchFile(tensors: TensorSpec[], rebuild = global('torch._utils', '_rebuild_tensor_v2')): Buffer {
  const entries = tensors.flatMap(({ name, shape, strides, values, offset = 0, claimed = values.length }) => [
    text(name),
    call(
      rebuild,
      tuple(
        persistent(
          tuple(text('storage'), global('torch', 'FloatStorage'), text(name), text('cpu'), int(claimed), u8(0x4e)),
        ),
        int(offset),
        tuple(...shape.map(int)),
        tuple(...strides.map(int)),
        u8(0x89),
        call(global('collections', 'OrderedDict'), u8(0x29)),
      ),
    ),
  ]);
  const storages = tensors.map(({ values, claimed = values.length }) => {
    const bytes = Buffer.alloc(8 + values.length * 4);
    bytes.writeBigInt64LE(BigInt(claimed));
    values.forEach((value, i) => bytes.writeFloatLE(value, 8 + i * 4));
    return bytes;
  });
  return Buffer.concat([
    pickle(MAGIC),
    pickle(int(1001)),
    pickle(dict(text('little_endian'), u8(0x88))),
    pickle(dict(...entries)),
    pickle(list(...tensors.map(({ name }) => text(name)))),
    ...storages,
  ]);
}
