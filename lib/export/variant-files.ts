import { halveWeights } from './halve-weights.ts';
import { composeOnnx } from './head.ts';
import type { ModelProto } from './onnx-proto.ts';
import { decodeModel, encodeModel } from './onnx-proto.ts';
import type { Range } from './quantise/affine.ts';
import type { QuantisationPlan } from './quantise/plan.ts';
import { quantiseGraph } from './quantise/quantise-graph.ts';

/** The three graphs of a model, as bytes of ONNX files. */
export interface VariantFiles {
  'backbone.onnx': Uint8Array;
  'head.onnx': Uint8Array;
  'model.onnx': Uint8Array;
}

/** The fp16 variant: weights as halves. @throws LookalikeError `nonFinite` | `invalidInput` no ONNX */
export function halvedFiles(backbone: Uint8Array, head: Uint8Array): VariantFiles {
  return together(halveWeights(decodeModel(backbone)), head);
}

/** The int8 variant: planned layers on integers, the weights of all others as halves. */
export function quantisedFiles(
  backbone: ModelProto,
  head: Uint8Array,
  how: { plan: QuantisationPlan; ranges: ReadonlyMap<string, Range>; weightLevels: number },
): VariantFiles {
  return together(halveWeights(quantiseGraph(backbone, how.plan, how.ranges, how.weightLevels)), head);
}

function together(backbone: ModelProto, head: Uint8Array): VariantFiles {
  const files = { 'backbone.onnx': encodeModel(backbone), 'head.onnx': encodeModel(halveWeights(decodeModel(head))) };
  return { ...files, 'model.onnx': composeOnnx(files['backbone.onnx'], files['head.onnx']) };
}
