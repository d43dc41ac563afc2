import { FIRST_STAGE } from '../../contracts/data-parallel.ts';
import type { TrainingStage } from '../../contracts/data-parallel.ts';
import type { TrainOutput } from '../../contracts/workflows.ts';
import { trainHead } from '../../lib/train/train-head.ts';
import { trainStage } from './train-stage.ts';
import type { Strategy, TrainJob } from './train-stage.ts';

const SINGLE: Strategy = {
  share: 1,
  train: ({ tf, data }, config, from, hooks) => trainHead(tf, data, config, from, hooks),
};

/**
 * One training in this process, from artefacts to artefact. Where items had to be withheld to judge by, the judged model is followed by one that learns from all of
 * them with the same settings; it names the judged one among its inputs.
 * @throws LookalikeError as `trainStage`
 */
export async function trainAndPublish(job: TrainJob): Promise<TrainOutput> {
  for (let stage: TrainingStage = FIRST_STAGE; ;) {
    const { output, next } = await trainStage(job, stage, SINGLE);
    if (next === null) return output;
    stage = next;
  }
}
