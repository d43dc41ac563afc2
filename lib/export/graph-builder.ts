import { LookalikeError } from '../../contracts/errors.ts';
import type { AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto } from './onnx-proto.ts';
import { ATTRIBUTE_TYPE, FLOAT } from './onnx-proto.ts';

/** Operator set of exported graphs: 2022, understood by every runtime in use. */
export const OPSET = 17;
const IR_VERSION = 8;

export type Attributes = Record<string, number | number[] | { float: number }>;

/** Collects nodes and weights in the order they are added. Weights are named after the node that reads them. */
export class GraphBuilder {
  private readonly nodes: NodeProto[] = [];
  private readonly initializers: TensorProto[] = [];
  private readonly names = new Set<string>();

  /** Adds a node with one output, named as the node; returns the output's name. */
  add(opType: string, name: string, inputs: string[], attributes: Attributes = {}): string {
    this.claim(name);
    const attribute = Object.entries(attributes).map(([key, value]) => attributeProto(key, value));
    this.nodes.push({ name, op_type: opType, input: inputs, output: [name], attribute });
    return name;
  }

  /** Adds a constant f32 tensor; returns its name. */
  weight(name: string, dims: number[], data: Float32Array): string {
    this.claim(name);
    const raw = new Uint8Array(data.length * 4);
    const view = new DataView(raw.buffer);
    for (let i = 0; i < data.length; i++) view.setFloat32(i * 4, data[i]!, true);
    this.initializers.push({ name, dims, data_type: FLOAT, raw_data: raw });
    return name;
  }

  finish(name: string, input: ValueInfoProto, output: ValueInfoProto, metadata: Record<string, string>): ModelProto {
    const graph: GraphProto = {
      name,
      node: this.nodes,
      initializer: this.initializers,
      input: [input],
      output: [output],
    };
    return {
      ir_version: IR_VERSION,
      producer_name: 'lookalike',
      opset_import: [{ domain: '', version: OPSET }],
      graph,
      metadata_props: Object.entries(metadata)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => ({ key, value })),
    };
  }

  /** ONNX is single-assignment: a value has one name and one maker. */
  private claim(name: string): void {
    if (this.names.has(name)) {
      throw new LookalikeError(
        'invalidInput',
        `Expected each value of the graph to have its own name, got "${name}" twice.`,
      );
    }
    this.names.add(name);
  }
}

/** An f32 value whose first side is the batch, `N`. */
export function batchOf(name: string, sides: number[]): ValueInfoProto {
  const dim = [{ dim_param: 'N' }, ...sides.map((side) => ({ dim_value: side }))];
  return { name, type: { tensor_type: { elem_type: FLOAT, shape: { dim } } } };
}

function attributeProto(name: string, value: Attributes[string]): AttributeProto {
  if (Array.isArray(value)) return { name, type: ATTRIBUTE_TYPE.ints, ints: value };
  if (typeof value === 'object') return { name, type: ATTRIBUTE_TYPE.float, f: value.float };
  return { name, type: ATTRIBUTE_TYPE.int, i: value };
}
