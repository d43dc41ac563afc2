import { assertNever } from '../../contracts/errors.ts';

/**
 * Both flush at the end of each step, so that every micro-batch of a step meets the same parameters. `gpipe`: all forward passes,
 * then all backward ones (Huang et al., arXiv 1811.06965, fig. 2c). `oneForwardOneBackward`: a stage goes backward as soon as it
 * can, so that it holds fewer inputs (Narayanan et al., arXiv 2006.09503, sec. 2.2, there PipeDream-Flush).
 */
export const SCHEDULES = ['gpipe', 'oneForwardOneBackward'] as const;
export type ScheduleKind = (typeof SCHEDULES)[number];

export interface Operation {
  kind: 'forward' | 'backward';
  microBatch: number;
}

/** K stages and M micro-batches of one step. */
export interface PipelineShape {
  schedule: ScheduleKind;
  numStages: number;
  numMicroBatches: number;
}

/**
 * What stage 0..K-1 does in one step, in order. Backward passes come in the order of the micro-batches under both schedules, so
 * gradients are added in one order, and both give the same bytes.
 */
export function operationsOf({ schedule, numStages, numMicroBatches }: PipelineShape, stage: number): Operation[] {
  const passes = (kind: Operation['kind'], from: number, to: number): Operation[] =>
    Array.from({ length: Math.max(0, to - from) }, (_, i) => ({ kind, microBatch: from + i }));
  switch (schedule) {
    case 'gpipe':
      return [...passes('forward', 0, numMicroBatches), ...passes('backward', 0, numMicroBatches)];
    case 'oneForwardOneBackward': {
      const ahead = Math.min(numStages - 1 - stage, numMicroBatches);
      const steady = passes('forward', ahead, numMicroBatches).flatMap((forward, i) => [
        forward,
        { kind: 'backward' as const, microBatch: i },
      ]);
      return [
        ...passes('forward', 0, ahead),
        ...steady,
        ...passes('backward', numMicroBatches - ahead, numMicroBatches),
      ];
    }
    default:
      return assertNever(schedule);
  }
}

/** The most micro-batches whose inputs a stage holds at once. */
export function peakHeld(shape: PipelineShape, stage: number): number {
  let [held, peak] = [0, 0];
  for (const { kind } of operationsOf(shape, stage)) {
    held += kind === 'forward' ? 1 : -1;
    peak = Math.max(peak, held);
  }
  return peak;
}

/** Seconds that one micro-batch takes in a stage; links carry a micro-batch's activations (or their gradients) in `link`. */
export interface StageSeconds {
  forward: number;
  backward: number;
  /** From this stage to the next one and back, each way. */
  link: number;
}

/**
 * The time of one step and the share of the machines' time in which they wait ("bubble"), if every stage does its operations in
 * order and as early as its inputs allow. Links delay, but do not queue.
 */
export function timeline(
  shape: PipelineShape,
  stages: readonly StageSeconds[],
): { stepSeconds: number; bubbleShare: number } {
  const { numStages } = shape;
  const orders = stages.map((_, stage) => operationsOf(shape, stage));
  const next = stages.map(() => 0);
  const free = stages.map(() => 0);
  const ended = new Map<string, number>();
  const key = (kind: Operation['kind'], stage: number, microBatch: number): string => `${kind} ${stage} ${microBatch}`;
  /** When what the operation needs is there; undefined while that is not known yet. */
  const readyAt = ({ kind, microBatch }: Operation, stage: number): number | undefined => {
    const from = kind === 'forward' ? stage - 1 : stage + 1;
    if (from < 0 || from === numStages) return 0;
    const end = ended.get(key(kind, from, microBatch));
    return end === undefined ? undefined : end + stages[Math.min(from, stage)]!.link;
  };
  for (let moved = true; moved;) {
    moved = false;
    for (let stage = 0; stage < numStages; stage++) {
      const operation = orders[stage]![next[stage]!];
      const ready = operation && readyAt(operation, stage);
      if (operation === undefined || ready === undefined) continue;
      const end = Math.max(free[stage]!, ready) + stages[stage]![operation.kind];
      free[stage] = end;
      ended.set(key(operation.kind, stage, operation.microBatch), end);
      next[stage]!++;
      moved = true;
    }
  }
  const stepSeconds = Math.max(...free);
  const busy = stages.reduce((sum, { forward, backward }) => sum + shape.numMicroBatches * (forward + backward), 0);
  return { stepSeconds, bubbleShare: 1 - busy / (numStages * stepSeconds) };
}

/** The rows of each micro-batch of a batch: contiguous, as even as can be, the larger ones first. */
export function microBatchesOf(numRows: number, numMicroBatches: number): { start: number; end: number }[] {
  const [size, larger] = [Math.floor(numRows / numMicroBatches), numRows % numMicroBatches];
  return Array.from({ length: numMicroBatches }, (_, i) => {
    const start = i * size + Math.min(i, larger);
    return { start, end: start + size + (i < larger ? 1 : 0) };
  });
}
