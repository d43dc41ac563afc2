import type * as tfjs from '@tensorflow/tfjs';
import { LookalikeError } from '../../contracts/errors.ts';
import { GraphBuilder, batchOf } from './graph-builder.ts';
import type { Layer } from './layers.ts';
import { translateLayer } from './layers.ts';
import { encodeModel } from './onnx-proto.ts';

export interface ExportOptions {
  /** Name of the graph, for people. */
  name: string;
  input: string;
  output: string;
  /** Written into the file; keys are sorted. */
  metadata?: Record<string, string>;
}

/**
 * A tfjs functional model as ONNX. Pictures are NCHW in the graph (NHWC in tfjs); the batch is free. Equal weights and
 * names give equal bytes. @throws LookalikeError `invalidInput` naming what has no translation
 */
export function exportOnnx(model: tfjs.LayersModel, options: ExportOptions): Uint8Array {
  const graph = new GraphBuilder();
  const layers = model.layers.filter((layer) => layer.getClassName() !== 'InputLayer');
  const [inputSides, outputSides] = [sides(model.inputs), sides(model.outputs)];
  // By the tensors, not by the model's own lists of names: a Sequential keeps none.
  const names = new Map<string, string>(model.inputs.map(({ sourceLayer }) => [sourceLayer.name, options.input]));
  const outputLayer = model.outputs[0]!.sourceLayer.name;
  const absorbed = new Set<string>();

  for (const layer of layers) {
    const inputs = inboundLayers(layer).map((from) => {
      const name = names.get(from.name);
      if (name === undefined) throw unsupported(`Expected layer "${layer.name}" to read layers of the model`);
      return name;
    });
    if (absorbed.has(layer.name)) {
      names.set(layer.name, inputs[0]!);
      continue;
    }
    const consumers = layers.filter((other) => inboundLayers(other).includes(layer));
    const isOutput = layer.name === outputLayer;
    names.set(
      layer.name,
      translateLayer(layer, {
        graph,
        inputs,
        onlyConsumer: consumers.length === 1 && !isOutput ? consumers[0] : undefined,
        absorb: (other) => absorbed.add(other.name),
      }),
    );
  }
  const result = names.get(outputLayer)!;
  if (result !== options.output) graph.add('Identity', options.output, [result]);
  return encodeModel(
    graph.finish(
      options.name,
      batchOf(options.input, inputSides),
      batchOf(options.output, outputSides),
      options.metadata ?? {},
    ),
  );
}

/** Sides without the batch, channels first. */
function sides(tensors: tfjs.SymbolicTensor[]): number[] {
  if (tensors.length !== 1) throw unsupported(`Expected one input and one output, got ${tensors.length}`);
  const known = tensors[0]!.shape.slice(1);
  if (known.some((side) => side === null))
    throw unsupported(`Expected fixed sizes, got [${tensors[0]!.shape.join(', ')}]`);
  const [first, second, channels] = known as number[];
  return known.length === 3 ? [channels!, first!, second!] : (known as number[]);
}

function inboundLayers(layer: Layer): Layer[] {
  if (layer.inboundNodes.length !== 1) {
    throw unsupported(`Expected layer "${layer.name}" to be used once, got ${layer.inboundNodes.length} uses`);
  }
  return layer.inboundNodes[0]!.inboundLayers;
}

function unsupported(message: string): LookalikeError {
  return new LookalikeError('invalidInput', `The model cannot be exported to ONNX. ${message}.`);
}
