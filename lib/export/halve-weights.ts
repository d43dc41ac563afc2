import { LookalikeError } from '../../contracts/errors.ts';
import { ATTRIBUTE_TYPE, DATA_TYPE } from './onnx-proto.ts';
import type { ModelProto, NodeProto, TensorProto } from './onnx-proto.ts';
import { floatsOf, halvesOf } from './tensors.ts';

/** Where an operator's big weights stand among its inputs. Biases are few, and halves are coarse for them: they stay. */
const WEIGHTS_AT: Record<string, readonly number[]> = { Conv: [1], ConvTranspose: [1], Gemm: [1], MatMul: [0, 1] };

/**
 * The graph with its weights kept as halves, half the bytes, each turned back to f32 by one Cast when the graph is opened. It
 * computes in f32 as before, so every runtime gives the same vectors at the same speed: processors mostly have no half
 * arithmetic, and runtimes that meet halves there convert to and fro at each layer.
 * @throws LookalikeError `nonFinite` naming a weight beyond the range of halves (65,504)
 */
export function halveWeights(model: ModelProto): ModelProto {
  const { graph } = model;
  const isWeight = new Set(
    graph.node.flatMap(({ op_type: op, input }) => (WEIGHTS_AT[op] ?? []).map((at) => input[at])),
  );
  const casts: NodeProto[] = [];
  const initializer = graph.initializer.map((tensor) => {
    const values = isWeight.has(tensor.name) && tensor.dims.length > 1 ? floatsOf(tensor) : undefined;
    if (values === undefined) return tensor;
    const half = halvesOf(`${tensor.name}:half`, tensor.dims, expectHalves(tensor, values));
    const to = { name: 'to', type: ATTRIBUTE_TYPE.int, i: DATA_TYPE.float };
    casts.push({
      name: `${tensor.name}:float`,
      op_type: 'Cast',
      input: [half.name],
      output: [tensor.name],
      attribute: [to],
    });
    return half;
  });
  // Before IR version 4 constants are listed among the inputs too; what a Cast now makes is no input.
  const cast = new Set(casts.flatMap(({ output }) => output));
  const input = graph.input.filter(({ name }) => !cast.has(name));
  return { ...model, graph: { ...graph, node: [...casts, ...graph.node], initializer, input } };
}

const LARGEST_HALF = 65_504;

function expectHalves(tensor: TensorProto, values: Float32Array): Float32Array {
  const at = values.findIndex((value) => !(Math.abs(value) <= LARGEST_HALF));
  if (at < 0) return values;
  throw new LookalikeError(
    'nonFinite',
    `Expected the weights "${tensor.name}" to fit into halves (at most ${LARGEST_HALF}), got ${values[at]}. Export this model as fp32.`,
  );
}
