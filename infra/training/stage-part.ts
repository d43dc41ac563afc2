import { setTimeout as sleep } from 'node:timers/promises';
import type { StageOutput } from '../../contracts/data-parallel.ts';
import { isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import type { StagePartInput, StagePartProgress } from '../../contracts/model-parallel.ts';
import type { TrainConfig } from '../../contracts/training.ts';
import { BatchPlan } from '../../lib/train/batch-plan.ts';
import { parameterShapes } from '../../lib/train/head-model.ts';
import type { HeadShape } from '../../lib/train/head-layers.ts';
import { HeadProgram } from '../../lib/train/head-program.ts';
import type { TrainedHead } from '../../lib/train/head-program.ts';
import { leadLink, modelParallelPlanOf } from '../../lib/train/model-parallel-plan.ts';
import { partStateOf } from '../../lib/train/part-state.ts';
import { PipelineLead } from '../../lib/train/pipeline-lead.ts';
import { trainPart } from '../../lib/train/train-part.ts';
import type { TrainPartOptions } from '../../lib/train/train-part.ts';
import { limitMemory } from '../pipeline/memory-limit.ts';
import { openLinkHost } from '../pipeline/wire-link.ts';
import { deriveRunKeys } from '../sync/curve-keys.ts';
import type { ChildWork } from './child-main.ts';
import { Meeting } from './gathering.ts';
import type { Gathering } from './gathering.ts';
import { loadBackend, loadLabels } from './load-stage-data.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { prepareStage } from './prepare-stage.ts';
import { createStageTeller } from './stage-teller.ts';
import type { StageTeller } from './stage-teller.ts';
import { createProgressOf } from './step-progress.ts';
import { trainStage } from './train-stage.ts';

/** Before parts that were lost are gathered again. */
const RETRY_MS = 100;
/** Gatherings without a step in between before the part is given up. */
const MAX_FAILURES = 20;

type PartJob = ChildWork<StagePartInput, StagePartProgress>;

/** Part 0 leads and gives what the stage ends in; the others follow until they are aborted, or have nothing to do. */
export async function workAsStagePart(job: PartJob): Promise<StageOutput | null> {
  // Links stay until the result is told: one that closes sooner looks like a lost part to its other end.
  const open: { close(): void }[] = [];
  try {
    return await (job.input.index === 0 ? lead(job, open) : follow(job, open));
  } catch (error) {
    throw outOfMemory(error) ?? error;
  } finally {
    for (const each of open) each.close();
  }
}

function lead(job: PartJob, open: { close(): void }[]): Promise<StageOutput> {
  const { stage, train } = job.input;
  const teller = createStageTeller(job);
  return trainStage({ ...job, input: train, onProgress: (progress) => teller.tell(progress) }, stage, {
    share: 1,
    async trainParts({ tf, data, backend }, config, checkpoints, { signal, onStep }) {
      const program = new HeadProgram(tf, data, config);
      const { batches, shape } = program;
      const part = await startPart({ ...job, signal }, { config, shape, batches, teller, open });
      const parameters = parameterShapes(config.loss, shape).map(({ name, shape: own }) => ({
        name,
        length: own.reduce((product, size) => product * size, 1),
      }));
      return part.untilDone<TrainedHead>(async (meeting) => {
        await using from = await checkpoints.open((reason) =>
          job.logger.warn({ reason }, 'a checkpoint is not readable'),
        );
        let checkpoint = from?.artifact ?? null;
        teller.idle(config, batches, backend, from?.step);
        const gathered = await meeting.gather(checkpoint);
        const link = (name: string) => gathered.link(name);
        const leading = new PipelineLead({
          ...{ program, plan: part.plan, link, from: await from?.heading() },
          async onCheckpoint(heading, fill) {
            checkpoint = await checkpoints.saveParts(heading, parameters, fill);
          },
        });
        try {
          await part.train(gathered, {
            ...{ tf, lead: leading, inputsAt: (step: number) => program.inputsAt(step) },
            from: await partStateOf(part.segments, program, from ?? null),
            onStep: (report) => onStep({ ...report, loss: report.loss! }, checkpoint),
          });
          return leading.finish();
        } finally {
          leading.dispose();
        }
      });
    },
  });
}

async function follow(job: PartJob, open: { close(): void }[]): Promise<null> {
  const { stores, input } = job;
  const { input: train, split, derivation, why } = await prepareStage(stores, input.train, input.stage);
  if (why !== null || (await stores.artifacts.find(derivation)) !== undefined) return null;
  const { config } = train;
  const teller = createStageTeller(job);
  const { tf, backend } = await loadBackend(job);
  const { featureDim, ...labelled } = await loadLabels(stores, train, split);
  const batches = new BatchPlan(labelled, config);
  const shape = { featureDim, hidden: config.hidden ?? [], dim: config.dim, numLabels: labelled.numLabels };
  const part = await startPart(job, { config, shape, batches, teller, open });
  teller.idle(config, batches, backend);
  const progressOf = createProgressOf({ backend, data: labelled }, config, 1);
  return part.untilDone<null>(async (meeting) => {
    const gathered = await meeting.gather();
    const id = gathered.checkpoint;
    await using from = id === null ? null : await openCheckpoint(stores.artifacts, id);
    await part.train(gathered, {
      tf,
      from: await partStateOf(part.segments, { config, shape }, from),
      onStep(report) {
        teller.tell(progressOf(report, id));
        return new Promise((resolve) => setImmediate(resolve));
      },
    });
    teller.waiting('Its steps are done: the lead ends the run.');
    await gathered.link(leadLink(input.index)).ended;
    throw new LookalikeError('unavailable', 'The lead was lost before it ended the run.');
  });
}

interface PartSetting {
  config: TrainConfig;
  shape: HeadShape;
  batches: BatchPlan;
  teller: StageTeller;
  open: { close(): void }[];
}

/** What lead and followers have in common: a place to meet, a limit of memory, and going on after a loss. */
async function startPart(job: PartJob, { config: train, shape, batches, teller, open }: PartSetting) {
  const { config, stores, signal, logger } = job;
  const { run, index } = job.input;
  const plan = modelParallelPlanOf(train, shape, batches.numRows);
  const own = plan.parts[index]!;
  teller.holds(own);
  const keys = deriveRunKeys(config.dataPlane.token, run);
  const links = await openLinkHost(keys);
  open.push(links);
  // The runtime, its threads and the data are there, and nothing of the model yet.
  const { maxBytesPerStage } = train.modelParallel!;
  if (maxBytesPerStage !== undefined) await limitMemory(process.pid, maxBytesPerStage);
  const { training: directory } = stores.registry;
  const meeting = new Meeting({
    ...{ run, index, attempt: job.attempt, plan, keys, links, host: config.dataPlane.host, directory, signal },
    onWaiting: teller.waiting,
  });
  let numFailures = 0;

  return {
    plan,
    segments: own.segments,

    async train(
      gathered: Gathering,
      options: Pick<TrainPartOptions, 'tf' | 'from' | 'lead' | 'inputsAt'> & Required<Pick<TrainPartOptions, 'onStep'>>,
    ): Promise<void> {
      open.push(gathered);
      teller.gathered(gathered);
      logger.info({ step: options.from.step, checkpoint: gathered.checkpoint }, 'all parts are there');
      await trainPart({
        ...options,
        ...{ config: train, plan, index, batches, signal, link: (name) => gathered.link(name) },
        async onStep(report) {
          numFailures = 0;
          teller.stepped();
          await options.onStep(report);
        },
      });
    },

    /** Tries again whenever a part was lost. */
    async untilDone<T>(round: (meeting: Meeting) => Promise<T>): Promise<T> {
      for (;;) {
        try {
          return await round(meeting);
        } catch (error) {
          if (signal.aborted) throw new LookalikeError('cancelled', 'Training was cancelled.');
          if (!isLookalikeError(error) || !['unavailable', 'conflict'].includes(error.code)) throw error;
          for (const each of open.splice(1)) each.close();
          if (++numFailures === MAX_FAILURES) {
            const message = `The parts of the run were lost ${MAX_FAILURES} times without a step in between. ${error.message}`;
            throw new LookalikeError('unavailable', message);
          }
          logger.info({ why: error.message }, 'parts gather again');
          teller.waiting(error.message);
        }
        await sleep(RETRY_MS);
      }
    },
  };
}

/** An allocation that the limit forbade, in words. */
function outOfMemory(error: unknown): LookalikeError | undefined {
  if (!(error instanceof RangeError) || !/allocation failed/i.test(error.message)) return undefined;
  return new LookalikeError(
    'invalidInput',
    'Expected this part of the model to fit into train.modelParallel.maxBytesPerStage, but an allocation failed. Use more stages or ' +
      'classifier parts, or smaller micro-batches.',
    {},
    { cause: error },
  );
}
