import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The peers: onnxruntime's static quantiser with its own calibrations, and its conversion of the whole graph to halves. */
const PEER_PROGRAM = `
import sys, numpy as np, onnx
source, target, tensors, size, how = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
if how == "half":
    from onnxruntime.transformers.float16 import convert_float_to_float16
    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)
    sys.exit()
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
images = np.fromfile(tensors, np.float32).reshape(-1, 1, 3, size, size)
class Reader(CalibrationDataReader):
    def __init__(self): self.rest = iter(images)
    def get_next(self):
        image = next(self.rest, None)
        return None if image is None else {"image": image}
quantize_static(source, target, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod[how])
`;

export interface PeerVariant {
  name: string;
  /** The backbone, in another precision. */
  make: () => Promise<Buffer>;
}

/** @param tensors preprocessed pictures; the histograms of some calibrations hold all of them at once, so those get a few only */
export function peerVariants(
  python: string,
  { backbone, tensors, size }: { backbone: Uint8Array; tensors: Float32Array[]; size: number },
): PeerVariant[] {
  const run = async (how: string, count: number): Promise<Buffer> => {
    const folder = await mkdtemp(join(tmpdir(), 'lookalike-peer-'));
    try {
      const [source, target, data] = ['source.onnx', 'target.onnx', 'tensors.f32'].map((name) => join(folder, name));
      await writeFile(source!, backbone);
      await writeFile(data!, Buffer.concat(tensors.slice(0, count).map((tensor) => Buffer.from(tensor.buffer))));
      const child = spawn(python, ['-c', PEER_PROGRAM, source!, target!, data!, String(size), how], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let words = '';
      child.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()));
      const code = await new Promise((resolve) => child.once('close', resolve));
      if (code !== 0) throw new Error(`The peer ended with code ${String(code)}: ${words.slice(-2000)}`);
      return await readFile(target!);
    } finally {
      await rm(folder, { recursive: true });
    }
  };
  return [
    { name: 'onnxruntime int8 MinMax', make: () => run('MinMax', tensors.length) },
    { name: 'onnxruntime int8 Percentile', make: () => run('Percentile', 32) },
    { name: 'onnxruntime int8 Entropy', make: () => run('Entropy', 32) },
    { name: 'onnxruntime half graph', make: () => run('half', 0) },
  ];
}
