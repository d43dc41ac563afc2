import protobuf from 'protobufjs';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import { ONNX_DESCRIPTOR } from './onnx-descriptor.ts';

/** The parts of the ONNX schema that are read or written here; fields keep their names in the specification. */
export interface TensorProto {
  name: string;
  dims: number[];
  data_type: number;
  /** Little-endian, row-major. */
  raw_data?: Uint8Array;
  /** Some exporters list f32 values here instead. */
  float_data?: number[];
}
export interface AttributeProto {
  name: string;
  type: number;
  i?: number;
  f?: number;
  ints?: number[];
}
export interface NodeProto {
  name: string;
  op_type: string;
  domain?: string;
  input: string[];
  output: string[];
  attribute?: AttributeProto[];
}
export interface ValueInfoProto {
  name: string;
  type: { tensor_type?: { elem_type: number; shape?: { dim: { dim_value?: number; dim_param?: string }[] } } };
}
export interface GraphProto {
  name: string;
  node: NodeProto[];
  initializer: TensorProto[];
  input: ValueInfoProto[];
  output: ValueInfoProto[];
  value_info?: ValueInfoProto[];
}
export interface ModelProto {
  ir_version: number;
  producer_name?: string;
  producer_version?: string;
  opset_import: { domain?: string; version: number }[];
  graph: GraphProto;
  metadata_props?: { key: string; value: string }[];
}

export const DATA_TYPE = { float: 1, uint8: 2, int8: 3, int32: 6, float16: 10 } as const;
export const FLOAT = DATA_TYPE.float;
export const ATTRIBUTE_TYPE = { float: 1, int: 2, ints: 7 } as const;

const Model = protobuf.Root.fromJSON(ONNX_DESCRIPTOR).lookupType('onnx.ModelProto');

/** Serialises a model; equal models give equal bytes, since fields are written in the schema's order. */
export function encodeModel(model: ModelProto): Uint8Array {
  const problem = Model.verify(model);
  if (problem !== null) throw new Error(`The exporter built a graph outside the ONNX schema: ${problem}`);
  return Model.encode(Model.fromObject(model)).finish();
}

/** @throws LookalikeError `invalidInput` when the bytes are no ONNX model */
export function decodeModel(bytes: Uint8Array): ModelProto {
  try {
    // 64-bit fields are shapes and versions here: far below 2^53.
    const decoded = Model.toObject(Model.decode(bytes), { longs: Number }) as Partial<ModelProto>;
    const graph = decoded.graph;
    if (graph === undefined) throw new Error('it has no graph');
    return {
      ...decoded,
      ir_version: Number(decoded.ir_version ?? 0),
      opset_import: decoded.opset_import ?? [],
      graph: {
        ...graph,
        name: graph.name ?? '',
        node: (graph.node ?? []).map((node) => ({ ...node, input: node.input ?? [], output: node.output ?? [] })),
        // A scalar has no sides.
        initializer: (graph.initializer ?? []).map((tensor) => ({ ...tensor, dims: tensor.dims ?? [] })),
        input: graph.input ?? [],
        output: graph.output ?? [],
      },
    };
  } catch (error) {
    throw new LookalikeError(
      'invalidInput',
      `Expected an ONNX model, got bytes that are none: ${errorMessage(error)}.`,
    );
  }
}
