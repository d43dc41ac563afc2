import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { Preprocessing } from '../../contracts/model.ts';
import { VALUES } from '../../lib/export/head.ts';
import { batchOf } from '../../lib/export/graph-builder.ts';
import type { ModelProto, NodeProto, ValueInfoProto } from '../../lib/export/onnx-proto.ts';
import { ATTRIBUTE_TYPE, FLOAT, decodeModel, encodeModel } from '../../lib/export/onnx-proto.ts';
import { runOnce } from './run-once.ts';

/**
 * A user's own ONNX network as a backbone: its one picture input becomes `image`, its one output, flattened, `features`.
 * The graph itself is left as it is; what it computes is found out by running it once on zeros.
 * @throws LookalikeError `invalidInput`
 */
export async function adoptOnnx(
  bytes: Uint8Array,
  preprocessing: Preprocessing,
): Promise<{ bytes: Uint8Array; featureDim: number }> {
  const model = decodeModel(bytes);
  const { graph } = model;
  const weights = new Set(graph.initializer.map(({ name }) => name));
  const inputs = graph.input.filter(({ name }) => !weights.has(name));
  if (inputs.length !== 1 || graph.output.length !== 1) {
    throw refused(`Expected one input and one output, got ${inputs.length} and ${graph.output.length}`);
  }
  const size = preprocessing.size;
  expectShape(inputs[0]!, [1, 3, size, size]);
  const adopted = (featureDim: number): Uint8Array =>
    encodeModel(withSeams(model, inputs[0]!, graph.output[0]!, size, featureDim));
  let features: Float32Array;
  try {
    features = await runOnce(adopted(1), new Float32Array(3 * size * size), [1, 3, size, size]);
  } catch (error) {
    throw refused(`Expected it to run on an image of [1, 3, ${size}, ${size}]; it failed: ${errorMessage(error)}`);
  }
  return { bytes: adopted(features.length), featureDim: features.length };
}

/** A free side fits any size; a fixed one must be what the preprocessing gives, even where the graph would run on others. */
function expectShape({ name, type }: ValueInfoProto, sides: number[]): void {
  const dim = type.tensor_type?.shape?.dim ?? [];
  const declared = dim.map(({ dim_value, dim_param }) => dim_value ?? dim_param ?? '?');
  const fits = dim.length === sides.length && dim.every(({ dim_value }, i) => (dim_value ?? sides[i]) === sides[i]);
  if (!fits || type.tensor_type?.elem_type !== FLOAT) {
    throw refused(`Expected input "${name}" to be f32 [${sides.join(', ')}], got [${declared.join(', ')}]`);
  }
}

/** Puts an Identity before the input and a Flatten after the output, which renames both without touching other nodes. */
function withSeams(
  model: ModelProto,
  input: ValueInfoProto,
  output: ValueInfoProto,
  size: number,
  featureDim: number,
): ModelProto {
  const { graph } = model;
  const names = new Set(graph.node.flatMap((node) => [...node.input, ...node.output]));
  const inner = (name: string): string => {
    const free = name === VALUES.image || name === VALUES.features ? `${name}_inner` : name;
    if (free !== name && names.has(free)) throw refused(`Expected no value named "${free}"`);
    return free;
  };
  const nodes = graph.node.map((node) => ({ ...node, input: node.input.map(inner), output: node.output.map(inner) }));
  const enter: NodeProto = { name: 'enter', op_type: 'Identity', input: [VALUES.image], output: [inner(input.name)] };
  const leave: NodeProto = {
    name: 'leave',
    op_type: 'Flatten',
    input: [inner(output.name)],
    output: [VALUES.features],
    attribute: [{ name: 'axis', type: ATTRIBUTE_TYPE.int, i: 1 }],
  };
  return {
    ...model,
    graph: {
      ...graph,
      node: [enter, ...nodes, leave],
      initializer: graph.initializer.map((tensor) => ({ ...tensor, name: inner(tensor.name) })),
      input: [batchOf(VALUES.image, [3, size, size])],
      output: [batchOf(VALUES.features, [featureDim])],
      // Recorded shapes of inner values are hints only, and may name renamed values.
      value_info: [],
    },
  };
}

function refused(message: string): LookalikeError {
  return new LookalikeError('invalidInput', `The ONNX file cannot serve as a backbone. ${message}.`);
}
