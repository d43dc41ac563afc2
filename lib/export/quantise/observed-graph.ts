import { FLOAT } from '../onnx-proto.ts';
import type { ModelProto } from '../onnx-proto.ts';

/** The graph with inner values as further outputs, so that calibration sees them. Those that are outputs or inputs already stay so. */
export function withOutputs(model: ModelProto, values: readonly string[]): ModelProto {
  const { graph } = model;
  const known = new Set([...graph.output, ...graph.input].map(({ name }) => name));
  const added = values
    .filter((name) => !known.has(name))
    .map((name) => ({ name, type: { tensor_type: { elem_type: FLOAT } } }));
  return { ...model, graph: { ...graph, output: [...graph.output, ...added] } };
}
