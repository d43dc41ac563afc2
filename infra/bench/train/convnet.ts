import { convnet } from '../../../lib/pipeline/models.ts';
import { freshState } from '../../../lib/pipeline/part-state.ts';
import { initialValues, layoutOf, wholeGradient } from '../../../lib/pipeline/model.ts';
import type { Tf } from '../../../lib/nn/tf.ts';
import { createOptimizer } from '../../../lib/sync/optimizer.ts';
import type { OptimizerConfig, ParameterClient, ParameterLayout } from '../../../lib/sync/protocol.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';
import type { TrainWorkload } from './workload.ts';
import { WARM_UP_STEPS } from './workload.ts';

const LEARNING_RATE = 1e-3;
const NUM_LABELS = 10;
const MODEL = convnet();

export const convnetLayout = (): ParameterLayout => layoutOf(MODEL);

interface Rows {
  /** [n, 28, 28, 1] */
  inputs: Float32Array;
  labels: Int32Array;
}

/** The rows of one slice: the same in every step, as nothing depends on what they are. */
function rowsOf({ batch, seed }: TrainWorkload, slice: number, numSlices: number): Rows {
  const count = Math.floor(batch / numSlices);
  const random = randomOf(seed, 'convnet', slice);
  const size = MODEL.inputShape.reduce((product, axis) => product * axis, 1);
  const inputs = normals(count * size, random);
  return { inputs, labels: Int32Array.from({ length: count }, () => Math.floor(random() * NUM_LABELS)) };
}

/** All of each batch in this process; `onStep` gives the event loop a turn. */
export async function trainConvnetAlone(
  tf: Tf,
  workload: TrainWorkload,
  optimizer: OptimizerConfig,
  onStep: () => Promise<void>,
): Promise<void> {
  const rows = rowsOf(workload, 0, 1);
  const state = freshState(MODEL, optimizer.kind, workload.seed);
  const { entries, length } = convnetLayout();
  const decaying = entries.filter(({ decays }) => decays);
  const ranges = decaying.map(({ offset, length: size }) => ({ start: offset, end: offset + size }));
  const update = createOptimizer(optimizer, ranges, length);
  for (let step = 0; step < workload.steps + WARM_UP_STEPS; step++) {
    const { gradient } = wholeGradient(tf, MODEL, state.values, rows);
    update(state, gradient, { learningRate: LEARNING_RATE, numUpdates: step });
    await onStep();
  }
}

/** One slice of each batch, in step with the others by way of the client. Slice 0 gives the values to start from. */
export async function trainConvnetReplica(
  tf: Tf,
  workload: TrainWorkload,
  client: ParameterClient,
  { slice, numSlices }: { slice: number; numSlices: number },
  onStep: (exchange: ParameterClient) => void,
): Promise<void> {
  const rows = rowsOf(workload, slice, numSlices);
  const { length } = client.layout;
  if (slice === 0) {
    const zeros = (): Float32Array => new Float32Array(length);
    const values = initialValues(MODEL, workload.seed);
    await client.seed({ step: 0, values, firstMoments: zeros(), secondMoments: zeros() });
  } else {
    while (!(await client.status()).every(({ incarnation }) => incarnation > 0)) {
      await new Promise((resume) => setTimeout(resume, 20));
    }
  }
  for (let step = 0; step < workload.steps + WARM_UP_STEPS; step++) {
    const { version, values } = await client.pull({ step });
    const { gradient } = wholeGradient(tf, MODEL, values, rows);
    const push = { slice, step, version, weight: rows.labels.length, learningRate: LEARNING_RATE, gradient };
    await client.push(push);
    onStep(client);
  }
}
