import { once } from 'node:events';
import { errorMessage, isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import { partsAt } from '../../lib/pipeline/cut.ts';
import { layoutOf } from '../../lib/pipeline/model.ts';
import { freshState } from '../../lib/pipeline/part-state.ts';
import { PipelineStage } from '../../lib/pipeline/stage.ts';
import { drawInputs, drawLabels, modelOf } from '../../lib/pipeline/task.ts';
import { loadTensorFlow } from '../compute/tensorflow.ts';
import { deriveRunKeys } from '../sync/curve-keys.ts';
import type { StageEvent, StageRequest } from './protocol.ts';
import { connectLink, openLinkHost } from './wire-link.ts';

/** Stages are processes of one machine. */
const LOOPBACK = '127.0.0.1';

process.once('disconnect', () => process.exit(1));
try {
  await main();
} catch (error) {
  const known = isLookalikeError(error) ? error : outOfMemory(error);
  await tell({ type: 'failed', code: known?.code ?? null, message: errorMessage(known ?? error) });
}
// Whoever asked has heard all; sockets and the backend's threads end with the process.
process.exit();

async function main(): Promise<void> {
  const { config, job, stage: index, run } = await asked('load');
  const { tf, backend } = await loadTensorFlow(config);
  tf.tidy(() => tf.matMul(tf.ones([8, 8]), tf.ones([8, 8])).dataSync());
  const model = modelOf(job.model);
  const part = partsAt(model, job.firstLayers)[index]!;
  const keys = deriveRunKeys(config.dataPlane.token, run);
  const following = part.loss === null ? await (await openLinkHost(keys)).listen(LOOPBACK, 'the next stage') : null;
  const baseRssBytes = process.memoryUsage.rss();
  await tell({ type: 'loaded', url: following?.url ?? null });

  const { previousUrl } = await asked('run');
  const previous = previousUrl === null ? null : connectLink(keys, previousUrl, 'the previous stage');
  const next = following?.link ?? null;
  // Before anything that takes long, for the door is kept by this thread.
  await Promise.all([previous?.connected, next?.connected]);
  const inputShape = (part.layers[0] ?? part.loss!).inputShape;
  const { pipeline, optimizer, numRows, learningRate, seed } = job;
  const stage = new PipelineStage({
    tf,
    part,
    inputShape,
    stage: index,
    pipeline,
    optimizer,
    from: freshState(part, optimizer.kind, seed),
    previous,
    next,
  });
  const numLabels = model.loss.inputShape[0]!;
  for (let step = 0; step < job.numSteps; step++) {
    const labels = drawLabels(seed, step, { numRows, numLabels });
    const inputs = previous === null ? { inputs: drawInputs(seed, step, labels, model.inputShape) } : {};
    const loss = await stage.runStep({ numRows, learningRate, labels, ...inputs });
    if (loss !== null) await tell({ type: 'step', step, loss });
  }
  await tell({
    type: 'done',
    report: {
      backend,
      parameterBytes: 4 * layoutOf(part).length,
      baseRssBytes,
      peakRssBytes: process.resourceUsage().maxRSS * 1024,
      previous: previous?.traffic ?? null,
      next: next?.traffic ?? null,
    },
  });
  // Until the parent has heard from all: a link that closes sooner looks like a lost one to its other end.
  await once(process, 'message');
}

async function asked<T extends StageRequest['type']>(type: T): Promise<Extract<StageRequest, { type: T }>> {
  const [request] = (await once(process, 'message')) as [StageRequest];
  if (request.type !== type) throw new Error(`Expected ${type} from the parent, got ${request.type}.`);
  return request as Extract<StageRequest, { type: T }>;
}

function tell(event: StageEvent): Promise<void> {
  return new Promise((resolve) => process.send!(event, () => resolve()));
}

function outOfMemory(error: unknown): LookalikeError | undefined {
  if (!(error instanceof RangeError) || !/allocation failed/i.test(error.message)) return undefined;
  return new LookalikeError(
    'invalidInput',
    'Expected the stage to fit into the memory that its process may allocate, but an allocation failed. Use more stages.',
    {},
    { cause: error },
  );
}
