import { LookalikeError } from '../../contracts/errors.ts';
import { GraphBuilder, batchOf } from './graph-builder.ts';
import type { ModelProto, NodeProto } from './onnx-proto.ts';
import { decodeModel, encodeModel } from './onnx-proto.ts';

/** Names of the values at the seams of a model's graphs. */
export const VALUES = { image: 'image', features: 'features', embedding: 'embedding' } as const;

/** A fully connected layer: row-major [in, out], and [out]. */
export interface DenseWeights {
  kernel: Float32Array;
  bias: Float32Array;
}

/** A projection to `dim` values, after any number of layers with ReLU. */
export interface Projection extends DenseWeights {
  dim: number;
  hidden?: readonly DenseWeights[];
}

/** `features` [N, featureDim] -> `embedding` [N, dim], L2-normalised. Without a projection the features keep their length. */
export function exportHead(
  featureDim: number,
  projection?: Projection,
  metadata: Record<string, string> = {},
): Uint8Array {
  const graph = new GraphBuilder();
  let value: string = VALUES.features;
  if (projection !== undefined) {
    const { dim, hidden = [] } = projection;
    let width = featureDim;
    const dense = (name: string, { kernel, bias }: DenseWeights, units: number): string => {
      if (kernel.length !== width * units || bias.length !== units) {
        throw new LookalikeError(
          'dimensionMismatch',
          `Expected a kernel of ${width} x ${units} values and ${units} biases, got ${kernel.length} and ${bias.length}.`,
        );
      }
      const weights = [
        graph.weight(`${name}/kernel`, [width, units], kernel),
        graph.weight(`${name}/bias`, [units], bias),
      ];
      width = units;
      return graph.add('Gemm', name, [value, ...weights]);
    };
    for (const [i, layer] of hidden.entries()) {
      value = dense(`hidden${i + 1}`, layer, layer.bias.length);
      value = graph.add('Relu', `relu${i + 1}`, [value]);
    }
    value = dense('projection', projection, dim);
  }
  graph.add('LpNormalization', VALUES.embedding, [value], { axis: 1, p: 2 });
  const input = batchOf(VALUES.features, [featureDim]);
  const output = batchOf(VALUES.embedding, [projection?.dim ?? featureDim]);
  return encodeModel(graph.finish('head', input, output, metadata));
}

/**
 * Backbone and head in one graph, `image` -> `embedding`: what a user deploys elsewhere. The head's own names get a
 * prefix, so they cannot meet the backbone's. @throws LookalikeError `invalidInput` when the backbone's opset is too old
 */
export function composeOnnx(backboneBytes: Uint8Array, headBytes: Uint8Array): Uint8Array {
  const backbone = decodeModel(backboneBytes);
  const head = decodeModel(headBytes);
  const opset = backbone.opset_import.find(({ domain }) => (domain ?? '') === '')?.version ?? 0;
  // Gemm and LpNormalization mean the same from 13 on, so the head can take over a newer backbone's opset.
  if (opset < 13) throw new LookalikeError('invalidInput', `Expected a backbone of opset 13 or newer, got ${opset}.`);
  const seam = new Set<string>([VALUES.features, VALUES.embedding]);
  const inHead = (name: string): string => (seam.has(name) || name === '' ? name : `head/${name}`);
  const rename = (node: NodeProto): NodeProto => ({
    ...node,
    name: `head/${node.name}`,
    input: node.input.map(inHead),
    output: node.output.map(inHead),
  });
  const composed: ModelProto = {
    ...backbone,
    ir_version: Math.max(backbone.ir_version, head.ir_version),
    opset_import: backbone.opset_import,
    metadata_props: [...(backbone.metadata_props ?? []), ...(head.metadata_props ?? [])],
    graph: {
      ...backbone.graph,
      name: `${backbone.graph.name}+head`,
      node: [...backbone.graph.node, ...head.graph.node.map(rename)],
      initializer: [
        ...backbone.graph.initializer,
        ...head.graph.initializer.map((tensor) => ({ ...tensor, name: inHead(tensor.name) })),
      ],
      output: head.graph.output,
    },
  };
  return encodeModel(composed);
}
