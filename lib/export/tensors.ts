import { DATA_TYPE } from './onnx-proto.ts';
import type { TensorProto } from './onnx-proto.ts';

/** The values of an f32 tensor, however the file keeps them; undefined for another type or for values kept outside the file. */
export function floatsOf(tensor: TensorProto): Float32Array | undefined {
  if (tensor.data_type !== DATA_TYPE.float) return undefined;
  const length = tensor.dims.reduce((product, side) => product * side, 1);
  const { raw_data: raw, float_data: listed } = tensor;
  if (raw !== undefined && raw.byteLength === length * 4) {
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    return Float32Array.from({ length }, (_, i) => view.getFloat32(i * 4, true));
  }
  return listed !== undefined && listed.length === length ? Float32Array.from(listed) : undefined;
}

/** A constant of the type that the array's kind tells. */
export function tensorOf(
  name: string,
  dims: number[],
  data: Float32Array | Int32Array | Int8Array | Uint8Array,
): TensorProto {
  const raw = new Uint8Array(data.byteLength);
  const view = new DataView(raw.buffer);
  if (data instanceof Float32Array) data.forEach((value, i) => view.setFloat32(i * 4, value, true));
  else if (data instanceof Int32Array) data.forEach((value, i) => view.setInt32(i * 4, value, true));
  else data.forEach((value, i) => (raw[i] = value & 0xff));
  return { name, dims, data_type: typeOf(data), raw_data: raw };
}

function typeOf(data: Float32Array | Int32Array | Int8Array | Uint8Array): number {
  if (data instanceof Float32Array) return DATA_TYPE.float;
  if (data instanceof Int32Array) return DATA_TYPE.int32;
  return data instanceof Int8Array ? DATA_TYPE.int8 : DATA_TYPE.uint8;
}

/** A constant of halves, each the nearest to its value (ties to even). */
export function halvesOf(name: string, dims: number[], data: Float32Array): TensorProto {
  const raw = new Uint8Array(data.length * 2);
  const view = new DataView(raw.buffer);
  data.forEach((value, i) => view.setFloat16(i * 2, value, true));
  return { name, dims, data_type: DATA_TYPE.float16, raw_data: raw };
}
