import { InferenceSession, Tensor } from 'onnxruntime-node';

/** Runs a graph of one input and one output once, on the CPU: for checks, not for throughput. */
export async function runOnce(graph: Uint8Array, input: Float32Array, shape: number[]): Promise<Float32Array> {
  const session = await InferenceSession.create(graph, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    const results = await session.run({ [session.inputNames[0]!]: new Tensor('float32', input, shape) });
    return Float32Array.from(results[session.outputNames[0]!]!.data as Float32Array);
  } finally {
    await session.release();
  }
}
