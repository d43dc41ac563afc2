import { afterStep, expectRunning, reportOf } from './session.ts';
import type { Session } from './session.ts';

/**
 * Synchronous and stale synchronous training: pull the parameters that the step may use, compute, push. Ends after the last step,
 * or where the lead ends it.
 */
export async function runClocked(session: Session): Promise<void> {
  const { client, head, program, plan, rank, lead, signal } = session;
  const { numSteps } = program;
  for (let step = session.step; lead || step < numSteps; step++) {
    expectRunning(session, step);
    // The lead judges parameters that hold every step before this one.
    const isJudged = lead?.isDue(step) === true;
    const pulled = await client.pull({ step: isJudged ? step + plan.staleness : step, signal });
    // With backup workers others may have gone on without this slice.
    step = Math.min(Math.max(step, pulled.version), numSteps);
    if (await lead?.visit(client, head, step, pulled, signal)) return;
    if (step === numSteps) return;

    const { loss, gradient, weight } = head.gradient(pulled.values, step, rank, plan.numSlices);
    const learningRate = program.learningRateAt(step);
    await client.push({ slice: rank, step, version: pulled.version, weight, learningRate, gradient }, signal);
    await afterStep(session, reportOf(session, step, loss));
  }
}
