import { LookalikeError } from '../../../contracts/errors.ts';
import { ATTRIBUTE_TYPE } from '../onnx-proto.ts';
import type { AttributeProto, ModelProto, NodeProto, TensorProto } from '../onnx-proto.ts';
import { floatsOf, tensorOf } from '../tensors.ts';
import type { Affine, Range } from './affine.ts';
import { affineOf } from './affine.ts';
import { quantiseBias, quantiseKernel } from './kernel.ts';
import type { PlannedConv, QuantisationPlan } from './plan.ts';

/** Names of what stands in for a value or weight. */
const quantised = (name: string): string => `${name}:quantised`;
const restored = (name: string): string => `${name}:restored`;

/**
 * The graph in QDQ form: each planned value passes through QuantizeLinear and DequantizeLinear, each planned weight is i8 behind a
 * DequantizeLinear with one scale per output. Runtimes fuse these into integer kernels; one that cannot computes the same in f32.
 * @param ranges of all values of the plan
 * @param weightLevels largest magnitude of a weight. 127 uses all of i8. 63 keeps sums of two products within 16 bits, which
 *   older x86 processors (AVX2 without VNNI) cut off.
 */
export function quantiseGraph(
  model: ModelProto,
  { convs, values, limits }: QuantisationPlan,
  ranges: ReadonlyMap<string, Range>,
  weightLevels: number,
): ModelProto {
  const { graph } = model;
  const affines = new Map(values.map((name) => [name, affineWithin(name, ranges, limits)]));
  // Every value has one maker, so its name tells the node.
  const convOf = new Map(convs.map((conv) => [conv.node.output[0], conv]));
  const folded = new Set(convs.flatMap(({ activation }) => activation?.output[0] ?? []));
  const nodes: NodeProto[] = [];
  const constants: TensorProto[] = [];
  const passThrough = (names: string[]): void => {
    for (const name of names) {
      const affine = affines.get(name);
      if (affine !== undefined) nodes.push(...roundTripNodes(name, affine, constants));
    }
  };
  const read = (name: string): string => (affines.has(name) ? restored(name) : name);

  passThrough(graph.input.map(({ name }) => name));
  for (const node of graph.node) {
    if (folded.has(node.output[0]!)) continue;
    const conv = convOf.get(node.output[0]);
    if (conv === undefined) {
      nodes.push({ ...node, input: node.input.map(read) });
      passThrough(node.output);
      continue;
    }
    const weights = weightNodes(conv, affines.get(node.input[0]!)!.scale, weightLevels, constants);
    nodes.push(...weights, {
      ...node,
      input: [read(node.input[0]!), ...weights.map(({ output }) => output[0]!)],
      output: [conv.output],
    });
    passThrough([conv.output]);
  }
  const stillRead = new Set(nodes.flatMap(({ input }) => input));
  const kept = graph.initializer.filter(({ name }) => stillRead.has(name));
  const gone = new Set(graph.initializer.filter(({ name }) => !stillRead.has(name)).map(({ name }) => name));
  const input = graph.input.filter(({ name }) => !gone.has(name));
  // Hints about values that may no longer be there.
  const { value_info: _, ...rest } = graph;
  return { ...model, graph: { ...rest, node: nodes, initializer: [...kept, ...constants], input } };
}

function affineWithin(name: string, ranges: ReadonlyMap<string, Range>, limits: ReadonlyMap<string, Range>): Affine {
  const range = ranges.get(name);
  if (range === undefined) throw new LookalikeError('invalidInput', `Expected a range for "${name}", got none.`);
  const limit = limits.get(name);
  if (limit === undefined) return affineOf(range);
  return affineOf({ min: limit.min, max: Math.min(range.max, limit.max) });
}

function roundTripNodes(name: string, { scale, zeroPoint }: Affine, constants: TensorProto[]): NodeProto[] {
  const by = [`${name}:scale`, `${name}:zero`] as const;
  constants.push(tensorOf(by[0], [], Float32Array.of(scale)), tensorOf(by[1], [], Uint8Array.of(zeroPoint)));
  const [inner, outer] = [quantised(name), restored(name)];
  return [
    { name: inner, op_type: 'QuantizeLinear', input: [name, ...by], output: [inner] },
    { name: outer, op_type: 'DequantizeLinear', input: [inner, ...by], output: [outer] },
  ];
}

/** Constants and the nodes that restore them: kernel, and bias where there is one. Named after the layer: layers may share weights. */
function weightNodes(conv: PlannedConv, inputScale: number, levels: number, constants: TensorProto[]): NodeProto[] {
  const { kernel, bias, output } = conv;
  const numOutputs = kernel.dims[0]!;
  const biasData = bias && floatsOf(bias);
  const { values, scales } = quantiseKernel(floatsOf(kernel)!, biasData, numOutputs, inputScale, levels);
  const name = `${output}:kernel`;
  constants.push(
    tensorOf(quantised(name), kernel.dims, values),
    tensorOf(`${name}:scale`, [numOutputs], scales),
    tensorOf(`${name}:zero`, [numOutputs], new Int8Array(numOutputs)),
  );
  const nodes = [restoreNode(name, [`${name}:scale`, `${name}:zero`])];
  if (biasData === undefined) return nodes;
  const biasName = `${output}:bias`;
  constants.push(
    tensorOf(quantised(biasName), [numOutputs], quantiseBias(biasData, inputScale, scales)),
    tensorOf(
      `${biasName}:scale`,
      [numOutputs],
      scales.map((scale) => inputScale * scale),
    ),
    tensorOf(`${biasName}:zero`, [numOutputs], new Int32Array(numOutputs)),
  );
  return [...nodes, restoreNode(biasName, [`${biasName}:scale`, `${biasName}:zero`])];
}

function restoreNode(name: string, by: string[]): NodeProto {
  const attribute: AttributeProto[] = [{ name: 'axis', type: ATTRIBUTE_TYPE.int, i: 0 }];
  return {
    name: restored(name),
    op_type: 'DequantizeLinear',
    input: [quantised(name), ...by],
    output: [restored(name)],
    attribute,
  };
}
