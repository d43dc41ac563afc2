import { LookalikeError } from '../../contracts/errors.ts';
import { VALUES } from '../export/head.ts';
import { batchOf } from '../export/graph-builder.ts';
import type { ModelProto, NodeProto, TensorProto } from '../export/onnx-proto.ts';
import { bytesOf, floatsOf } from '../sync/float-bytes.ts';
import type { ConvUnit, Cut } from './network.ts';
import { STAGES } from './network.ts';

/**
 * Kernels and biases of some units as TensorFlow lays them out: `<unit>/kernel` [in, out] where pointwise, else [h, w, in, out] or
 * [h, w, channels]; `<unit>/bias` [out]. The channel of an output is the last axis of all of them.
 */
export type UnitValues = Record<string, Float32Array>;

/** Sides of pictures that every stride halves evenly, so that paddings are the same whatever the size. */
export const SIZE_STEP = 32;

/** @throws LookalikeError `invalidInput` when the graph is not an export of EfficientNet-Lite0 */
export function readUnits(model: ModelProto, units: readonly ConvUnit[]): UnitValues {
  return Object.fromEntries(
    units.flatMap((unit) => {
      const kernel = weightsOf(model, `${unit.name}/kernel`, onnxDims(unit));
      const bias = weightsOf(model, `${unit.name}/bias`, [unit.out]);
      return [
        [`${unit.name}/kernel`, moveOutputsLast(kernel, unit)],
        [`${unit.name}/bias`, bias],
      ];
    }),
  );
}

/** The same graph with other values of some units. */
export function withUnits(model: ModelProto, units: readonly ConvUnit[], values: UnitValues): ModelProto {
  const changed = new Map(
    units.flatMap((unit): [string, Float32Array][] => [
      [`${unit.name}/kernel`, moveOutputsFirst(values[`${unit.name}/kernel`]!, unit)],
      [`${unit.name}/bias`, values[`${unit.name}/bias`]!],
    ]),
  );
  const initializer = model.graph.initializer.map((tensor) => {
    const data = changed.get(tensor.name);
    return data === undefined ? tensor : { ...tensor, raw_data: Uint8Array.from(bytesOf(data)) };
  });
  return { ...model, graph: { ...model.graph, initializer } };
}

/**
 * The part of the graph before a cut, for pictures of `size`: `image` [N, 3, size, size] to what the last stages take.
 * @throws LookalikeError `invalidInput` when the graph is not an export of EfficientNet-Lite0
 */
export function frozenPart(model: ModelProto, { output, channels, side }: Cut, size: number): ModelProto {
  const { graph } = model;
  const nodes: NodeProto[] =
    output === null
      ? [{ name: 'cut', op_type: 'Identity', input: [VALUES.image], output: ['cut'] }]
      : ancestorsOf(graph.node, output);
  const read = new Set(nodes.flatMap(({ input }) => input));
  return {
    ...model,
    graph: {
      ...graph,
      node: nodes,
      initializer: graph.initializer.filter(({ name }) => read.has(name)),
      input: [batchOf(VALUES.image, [3, size, size])],
      output: [batchOf(output ?? 'cut', [channels, side, side])],
      value_info: [],
    },
  };
}

/** The whole graph for pictures of another size. @throws LookalikeError `invalidInput` when paddings would differ */
export function withInputSize(model: ModelProto, size: number): ModelProto {
  if (size % SIZE_STEP !== 0) {
    throw new LookalikeError('invalidInput', `Expected a size that ${SIZE_STEP} divides, got ${size}.`);
  }
  return { ...model, graph: { ...model.graph, input: [batchOf(VALUES.image, [3, size, size])], value_info: [] } };
}

/** @throws LookalikeError `invalidInput` when a stage of the network is not where it should be */
export function expectNetwork(model: ModelProto): void {
  readUnits(
    model,
    STAGES.flatMap(({ units }) => units),
  );
  const made = new Set(model.graph.node.flatMap(({ output }) => output));
  const missing = STAGES.find(({ output }) => !made.has(output));
  if (missing !== undefined) throw foreign(`it has no value "${missing.output}"`);
}

function ancestorsOf(nodes: readonly NodeProto[], value: string): NodeProto[] {
  const wanted = new Set([value]);
  // Nodes stand after what they read.
  const kept = nodes.toReversed().filter((node) => {
    if (!node.output.some((name) => wanted.has(name))) return false;
    for (const name of node.input) wanted.add(name);
    return true;
  });
  if (kept.length === 0) throw foreign(`it has no value "${value}"`);
  return kept.reverse();
}

function weightsOf(model: ModelProto, name: string, dims: number[]): Float32Array {
  const found: TensorProto | undefined = model.graph.initializer.find((tensor) => tensor.name === name);
  if (found?.raw_data === undefined || (found.dims ?? []).join() !== dims.join()) {
    throw foreign(`expected "${name}" of [${dims.join(', ')}], got ${found ? `[${found.dims.join(', ')}]` : 'none'}`);
  }
  return Float32Array.from(floatsOf(found.raw_data));
}

function onnxDims({ kind, kernel, in: inputs, out }: ConvUnit): number[] {
  return [out, kind === 'depthwise' ? 1 : inputs, kernel, kernel];
}

/** [out, in, area] -> [area, in, out]. */
function moveOutputsLast(data: Float32Array, { kind, kernel, in: inputs, out }: ConvUnit): Float32Array {
  return swapOuter(data, out, kind === 'depthwise' ? 1 : inputs, kernel ** 2);
}

/** [area, in, out] -> [out, in, area]. */
function moveOutputsFirst(data: Float32Array, { kind, kernel, in: inputs, out }: ConvUnit): Float32Array {
  return swapOuter(data, kernel ** 2, kind === 'depthwise' ? 1 : inputs, out);
}

/** [a, b, c] -> [c, b, a]. */
function swapOuter(data: Float32Array, a: number, b: number, c: number): Float32Array {
  const out = new Float32Array(data.length);
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++) {
      for (let k = 0; k < c; k++) out[(k * b + j) * a + i] = data[(i * b + j) * c + k]!;
    }
  }
  return out;
}

function foreign(why: string): LookalikeError {
  return new LookalikeError(
    'invalidInput',
    `Expected a backbone of the kind EfficientNet-Lite0 to fine-tune; ${why}. Leave out \`finetune\` for other networks: a head can be ` +
      'trained on any.',
  );
}
