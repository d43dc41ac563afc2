import { LookalikeError } from '../../../contracts/errors.ts';
import type { ModelProto, NodeProto, TensorProto } from '../onnx-proto.ts';
import { floatsOf } from '../tensors.ts';
import type { Range } from './affine.ts';

/** A convolution that will compute on integers. */
export interface PlannedConv {
  node: NodeProto;
  kernel: TensorProto;
  bias: TensorProto | undefined;
  /** A ReLU or clip that reads nothing but this and that nothing else replaces: a range that ends where it cuts does its work. */
  activation: NodeProto | undefined;
  /** The value after the activation. */
  output: string;
}

/** What of a graph becomes u8 (values) and i8 (weights). */
export interface QuantisationPlan {
  convs: PlannedConv[];
  /** Values to hold as u8, in the order of the graph. Their ranges come from calibration. */
  values: string[];
  /** Where a folded activation cuts, whatever was seen. */
  limits: Map<string, Range>;
}

/** Per-channel scales came with this operator set. */
const LEAST_OPSET = 13;

/**
 * Convolutions with constant weights, what they read and make, and sums of such. The rest (pooling, head) stays f32: it is a
 * hundredth of the work, and the last place to lose precision. `keepFloat` names convolutions to leave as they are.
 * @throws LookalikeError `invalidInput` where nothing can be quantised
 */
export function planQuantisation(model: ModelProto, keepFloat: ReadonlySet<string> = new Set()): QuantisationPlan {
  const { graph } = model;
  const opset = model.opset_import.find(({ domain }) => (domain ?? '') === '')?.version ?? 0;
  if (opset < LEAST_OPSET) throw refused(`Expected operator set ${LEAST_OPSET} or newer, got ${opset}`);
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const consumers = consumersOf(graph.node);
  const results = new Set(graph.output.map(({ name }) => name));
  const convs: PlannedConv[] = [];
  const values = new Set<string>();
  const limits = new Map<string, Range>();
  for (const node of graph.node) {
    if (isSumOf(node, values)) values.add(node.output[0]!);
    if (node.op_type !== 'Conv' || (node.domain ?? '') !== '' || keepFloat.has(node.name)) continue;
    const [input, kernelName, biasName] = node.input;
    const kernel = constants.get(kernelName!);
    const bias = biasName === undefined || biasName === '' ? undefined : constants.get(biasName);
    const isConstant = kernel !== undefined && floatsOf(kernel) !== undefined && (!biasName || bias !== undefined);
    if (!isConstant) continue;
    const raw = node.output[0]!;
    const [next, ...others] = consumers.get(raw) ?? [];
    const cut = next !== undefined && others.length === 0 && !results.has(raw) ? cutOf(next, constants) : undefined;
    const activation = cut === undefined ? undefined : next;
    const output = activation?.output[0] ?? raw;
    if (cut !== undefined) limits.set(output, cut);
    values.add(input!);
    values.add(output);
    convs.push({ node, kernel, bias, activation, output });
  }
  if (convs.length === 0) throw refused('Expected convolutions with constant weights, found none');
  return { convs, values: [...values], limits };
}

/** Every place that reads a value. */
export function consumersOf(nodes: readonly NodeProto[]): Map<string, NodeProto[]> {
  const consumers = new Map<string, NodeProto[]>();
  for (const node of nodes) {
    for (const name of new Set(node.input)) consumers.set(name, [...(consumers.get(name) ?? []), node]);
  }
  return consumers;
}

function isSumOf({ op_type: op, input }: NodeProto, values: ReadonlySet<string>): boolean {
  return op === 'Add' && input.every((name) => values.has(name));
}

/** The range outside of which the node changes values, if that is all it does and zero is its floor. */
function cutOf(node: NodeProto, constants: ReadonlyMap<string, TensorProto>): Range | undefined {
  if (node.op_type === 'Relu') return { min: 0, max: Number.POSITIVE_INFINITY };
  if (node.op_type !== 'Clip') return undefined;
  const [min, max] = [node.input[1], node.input[2]].map((name) => {
    const tensor = name === undefined ? undefined : constants.get(name);
    return tensor && floatsOf(tensor)?.[0];
  });
  if (min !== 0 || (max === undefined && Boolean(node.input[2]))) return undefined;
  return { min, max: max ?? Number.POSITIVE_INFINITY };
}

function refused(message: string): LookalikeError {
  return new LookalikeError('invalidInput', `The model cannot be quantised to int8. ${message}. Export it as fp16.`);
}
