import type { DataParallelConfig } from '../../contracts/training.ts';
import type { Pulled } from '../sync/protocol.ts';
import { RETRY_MS, afterStep, expectRunning, isWhole, reportOf, seededAnew } from './session.ts';
import type { Session } from './session.ts';

type Async = Extract<DataParallelConfig['mode'], { kind: 'async' }>;

/**
 * Downpour (Dean et al., NIPS 2012, alg. 7.1): each replica goes through its slices at its own pace, fetches parameters every
 * `fetchEvery` steps, steps on its own copy in between, and pushes the sum of every `pushEvery` gradients. The lead waits for
 * everybody's last push, so that no sample is lost while the shards live. Once one was lost, all slices go on at the step of the
 * checkpoint, an average over them: fast ones take samples again, and slow ones leave some out.
 */
export async function runDownpour(session: Session, { pushEvery, fetchEvery }: Async): Promise<void> {
  const { client, head, program, plan, rank, lead, signal, step: first } = session;
  const { numSteps } = program;
  let { numPushes } = session;
  let pulled: Pulled | undefined;
  let values: Float32Array = new Float32Array(0);
  let accrued = accruing(head.layout.length);
  for (let step = first; step < numSteps; step++) {
    expectRunning(session, step);
    if (pulled === undefined || (step - first) % fetchEvery === 0 || lead?.isDue(step)) {
      pulled = await client.pull({ step: numPushes, signal });
      values = pulled.values;
    }
    if (lead?.isDue(step) && (await lead.visit(client, head, step, pulled, signal))) return;

    const { loss, gradient, weight } = head.gradient(values, step, rank, plan.numSlices);
    const learningRate = program.learningRateAt(step);
    add(accrued, gradient, weight, pulled.version);
    const numDone = step + 1 - first;
    if (numDone % pushEvery === 0 || step + 1 === numSteps) {
      const { sum, rows, version } = accrued;
      await client.push({ slice: rank, step: numPushes, version, weight: rows, learningRate, gradient: sum }, signal);
      numPushes++;
      accrued = accruing(sum.length);
    }
    if (numDone % fetchEvery !== 0) values = values.map((value, i) => value - learningRate * gradient[i]!);
    await afterStep(session, reportOf(session, step, loss));
  }
  if (!lead) return;
  await untilAllPushed(session, Math.ceil((numSteps - session.seededAt) / pushEvery));
  await lead.visit(client, head, numSteps, await client.pull({ step: numPushes, signal }), signal);
}

/** Gradients of several steps on their way to one push. `version` is of the oldest parameters among them. */
interface Accrued {
  sum: Float32Array;
  rows: number;
  version: number;
}

function accruing(length: number): Accrued {
  return { sum: new Float32Array(length), rows: 0, version: Infinity };
}

function add(accrued: Accrued, gradient: Float32Array, rows: number, version: number): void {
  const { sum } = accrued;
  for (let i = 0; i < sum.length; i++) sum[i]! += gradient[i]!;
  accrued.rows += rows;
  accrued.version = Math.min(accrued.version, version);
}

async function untilAllPushed({ client, signal, pause, onWaiting }: Session, numPushes: number): Promise<void> {
  for (;;) {
    const states = await client.status(signal);
    if (!isWhole(states)) throw seededAnew();
    const slices = states.flatMap(({ statistics }) => statistics.nextStepBySlice);
    if (slices.every((next) => next >= numPushes)) return;
    onWaiting?.('Its steps are done; other replicas are still at theirs.');
    await pause(RETRY_MS, signal);
  }
}
