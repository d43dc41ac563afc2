import { InferenceSession, Tensor } from 'onnxruntime-node';
import { LookalikeError, isLookalikeError } from '../../contracts/errors.ts';
import type { Preprocessing } from '../../contracts/model.ts';
import { VALUES } from '../../lib/export/head.ts';
import { encodeModel } from '../../lib/export/onnx-proto.ts';
import type { ModelProto } from '../../lib/export/onnx-proto.ts';
import type { Range } from '../../lib/export/quantise/affine.ts';
import { withOutputs } from '../../lib/export/quantise/observed-graph.ts';
import type { QuantisationPlan } from '../../lib/export/quantise/plan.ts';
import { Histogram, RangeObserver, chooseRange } from '../../lib/export/quantise/ranges.ts';
import type { Calibration } from '../../lib/export/quantise/ranges.ts';
import { preprocess } from '../../lib/images/preprocess.ts';

export interface CalibrateOptions {
  preprocessing: Preprocessing;
  calibration: Calibration;
  /** Reads a picture; called once or twice for each. */
  pictures: readonly (() => Promise<Uint8Array>)[];
  numThreads: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** Batches of one picture hold all inner values of the network once, about 40 MB for EfficientNet-Lite0. */
export interface Calibrated {
  ranges: Map<string, Range>;
  /** Pictures that could be decoded. */
  numPictures: number;
}

/**
 * Runs real pictures through the f32 graph and chooses a range for each planned value: first all extremes, then (unless those are what is asked
 * for) histograms between them. The input's range follows from the preprocessing alone, so a picture's bytes survive exactly
 * where all channels share mean and deviation.
 * @throws LookalikeError `invalidInput` no usable picture | `nonFinite` | `cancelled`
 */
export async function calibrate(
  model: ModelProto,
  plan: QuantisationPlan,
  options: CalibrateOptions,
): Promise<Calibrated> {
  const { preprocessing, calibration, pictures, numThreads } = options;
  const numPasses = calibration.kind === 'minMax' ? 1 : 2;
  const observed = plan.values.filter((name) => name !== VALUES.image);
  const session = await InferenceSession.create(encodeModel(withOutputs(model, observed)), {
    intraOpNumThreads: numThreads,
    logSeverityLevel: 3,
  });
  let done = 0;
  const run = async (see: (name: string, values: Float32Array) => void): Promise<number> => {
    let numUsable = 0;
    for (const read of pictures) {
      if (options.signal?.aborted === true) throw new LookalikeError('cancelled', 'Calibration was asked to stop.');
      const image = await tensorOrNothing(await read(), preprocessing);
      options.onProgress?.(++done, pictures.length * numPasses);
      if (image === undefined) continue;
      numUsable++;
      const { size } = preprocessing;
      const results = await session.run({ [VALUES.image]: new Tensor('float32', image, [1, 3, size, size]) });
      for (const name of observed) see(name, results[name]!.data as Float32Array);
    }
    return numUsable;
  };
  try {
    const extremes = new Map(observed.map((name) => [name, new RangeObserver()]));
    const numUsable = await run((name, values) => extremes.get(name)!.observe(values, name));
    if (numUsable === 0) {
      throw new LookalikeError('invalidInput', 'Expected pictures to calibrate on, found none that can be decoded.');
    }
    const ranges = new Map([...extremes].map(([name, observer]) => [name, observer.range()]));
    if (numPasses === 2) {
      const histograms = new Map([...ranges].map(([name, range]) => [name, new Histogram(range)]));
      await run((name, values) => histograms.get(name)!.observe(values));
      for (const [name, histogram] of histograms) ranges.set(name, chooseRange(histogram, calibration));
    }
    ranges.set(VALUES.image, inputRange(preprocessing));
    return { ranges, numPictures: numUsable };
  } finally {
    await session.release();
  }
}

/** All that bytes of 0..255 can become. */
export function inputRange({ mean, std }: Pick<Preprocessing, 'mean' | 'std'>): Range {
  const ends = mean.flatMap((m, c) => [(0 - m) / std[c]!, (255 - m) / std[c]!]);
  return { min: Math.min(...ends), max: Math.max(...ends) };
}

async function tensorOrNothing(bytes: Uint8Array, p: Preprocessing): Promise<Float32Array | undefined> {
  try {
    return await preprocess(bytes, p);
  } catch (error) {
    if (isLookalikeError(error) && error.code === 'imageRejected') return undefined;
    throw error;
  }
}
