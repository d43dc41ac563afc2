import { proxyActivities } from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import type {
  BuildActivities,
  CatalogueActivities,
  EmbedActivities,
  ParameterActivities,
  ReplicaActivities,
  ScheduleActivities,
  ScheduleStartActivities,
  SearchHostActivities,
  ServingActivities,
  SimilarActivities,
  SimilarRecordActivities,
  TrainActivities,
  TrainingRecordActivities,
} from '../activities/interfaces.ts';
import type { TrialActivities, TuneActivities, TuneRecordActivities } from '../activities/tune-interfaces.ts';
import { TASK_QUEUES, searchQueue } from '../contracts/queues.ts';

/**
 * One place for every timeout and retry, named by class of work. Failures whose domain code says "trying again cannot help"
 * are marked non-retryable where they are thrown (activities/failure.ts), so these policies only bound the others.
 * Nothing has a schedule-to-start limit unless it is tied to one host: work waits for a worker to come back.
 */

/** A registry row or a small file: longer than this means the process is gone or the database is stuck. */
const quick: ActivityOptions = {
  startToCloseTimeout: '30 seconds',
  cancellationType: 'TRY_CANCEL',
  retry: { initialInterval: '200 milliseconds', maximumInterval: '5 seconds', maximumAttempts: 20 },
};

/**
 * What nobody would start again if it gave up: the upkeep of serving outlives any outage of the registry. Five seconds between
 * late attempts is what serving waits at most once the registry is back.
 */
const untilAnswered: ActivityOptions = {
  ...quick,
  retry: { initialInterval: '200 milliseconds', maximumInterval: '5 seconds' },
};

/** Reads or writes as much as the catalogue is large. The heartbeat, not the limit, tells a dead worker. */
const wholeCatalogue: ActivityOptions = {
  startToCloseTimeout: '2 hours',
  heartbeatTimeout: '10 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { initialInterval: '500 milliseconds', maximumInterval: '30 seconds', maximumAttempts: 10 },
};

/** One chunk is seconds of inference; an hour still allows the slowest machine. */
const embedBatch: ActivityOptions = { ...wholeCatalogue, startToCloseTimeout: '1 hour' };

/** Downloading and converting weights depends on the network, hence minutes between late attempts. */
const prepareModel: ActivityOptions = {
  ...wholeCatalogue,
  retry: { initialInterval: '1 second', maximumInterval: '2 minutes', maximumAttempts: 10 },
};

/** Training resumes from its checkpoint, so an attempt costs little; 15 s allows for a long step in the parent process. */
const trainRun: ActivityOptions = {
  startToCloseTimeout: '24 hours',
  heartbeatTimeout: '15 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { initialInterval: '1 second', maximumInterval: '30 seconds', maximumAttempts: 20 },
};

export const MAX_TRIAL_ATTEMPTS = 6;

/**
 * A trial can be what kills its trainer, by a network too large for the memory for example, and others wait for the same trainers: it is
 * given up sooner, and tried again as often as the search's own `retries` say.
 */
const trainTrial: ActivityOptions = {
  ...trainRun,
  retry: { initialInterval: '1 second', maximumInterval: '30 seconds', maximumAttempts: MAX_TRIAL_ATTEMPTS },
};

/** How often one part of a training on several processes may be lost before the run is given up. */
export const MAX_PART_ATTEMPTS = 50;

/**
 * One part of a training on several processes. While it is away the others wait, so its loss is noticed and made good in seconds: the work
 * runs in a child process, and five missed beats in a row mean that nobody is there.
 */
const partOfRun: ActivityOptions = {
  startToCloseTimeout: '24 hours',
  heartbeatTimeout: '5 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { initialInterval: '100 milliseconds', maximumInterval: '5 seconds', maximumAttempts: MAX_PART_ATTEMPTS },
};

/** Waits for the supervisor's answer, which bounds itself by the target's start-up limit; a lost wait is taken up again. */
const awaitSwitch: ActivityOptions = {
  ...wholeCatalogue,
  startToCloseTimeout: '1 hour',
  cancellationType: 'TRY_CANCEL',
};

/** Runs as long as the shard is wanted; a day and the activity asks to be started anew. Its keeper does the retrying. */
const hostShard: ActivityOptions = {
  startToCloseTimeout: '36 hours',
  // A live host takes the task at once; one that does not is as good as dead.
  scheduleToStartTimeout: '10 seconds',
  // The time without this replica after its host is killed; short, because a heartbeat every second is cheap.
  heartbeatTimeout: '4 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: { maximumAttempts: 1 },
};

export const catalogue = proxyActivities<
  Pick<CatalogueActivities, 'openGeneration' | 'recordGeneration' | 'describeModel'>
>({ ...quick, taskQueue: TASK_QUEUES.orchestrator });
export const snapshots = proxyActivities<Pick<CatalogueActivities, 'takeSnapshot'>>({
  ...wholeCatalogue,
  taskQueue: TASK_QUEUES.orchestrator,
});
export const switching = proxyActivities<Pick<CatalogueActivities, 'serveGeneration'>>({
  ...awaitSwitch,
  taskQueue: TASK_QUEUES.orchestrator,
});
export const serving = proxyActivities<Omit<ServingActivities, 'probeGeneration'>>({
  ...quick,
  taskQueue: TASK_QUEUES.orchestrator,
});
/** `serving`, for keepers and for draining. A switch has a time limit and uses `serving`. */
export const upkeep = proxyActivities<Omit<ServingActivities, 'probeGeneration' | 'switchGeneration'>>({
  ...untilAnswered,
  taskQueue: TASK_QUEUES.orchestrator,
});
/** A look that may be missed: between two stays the host keeps the shard for a minute only, so it must not take that long. */
export const glance = proxyActivities<Pick<ServingActivities, 'listSearchHosts'>>({
  ...untilAnswered,
  scheduleToCloseTimeout: '20 seconds',
  taskQueue: TASK_QUEUES.orchestrator,
});
export const models = proxyActivities<Pick<TrainActivities, 'ensureBackbone' | 'ensurePretrained'>>({
  ...prepareModel,
  taskQueue: TASK_QUEUES.train,
});
export const training = proxyActivities<Pick<TrainActivities, 'trainHead'>>({
  ...trainRun,
  taskQueue: TASK_QUEUES.train,
});
export const finetuning = proxyActivities<Pick<TrainActivities, 'finetuneBackbone'>>({
  ...trainRun,
  taskQueue: TASK_QUEUES.train,
});
export const replicas = proxyActivities<ReplicaActivities>({ ...partOfRun, taskQueue: TASK_QUEUES.replicas });
export const parameters = proxyActivities<ParameterActivities>({ ...partOfRun, taskQueue: TASK_QUEUES.parameters });
export const trainingRecords = proxyActivities<TrainingRecordActivities>({
  ...quick,
  taskQueue: TASK_QUEUES.orchestrator,
});
/** Rungs of trials; one that is lost goes on from its checkpoint, like any training. */
export const trials = proxyActivities<TrialActivities>({ ...trainTrial, taskQueue: TASK_QUEUES.train });
export const tuneRecords = proxyActivities<TuneRecordActivities>({ ...quick, taskQueue: TASK_QUEUES.orchestrator });
export const tuningResults = proxyActivities<TuneActivities>({ ...wholeCatalogue, taskQueue: TASK_QUEUES.build });
export const building = proxyActivities<BuildActivities>({ ...wholeCatalogue, taskQueue: TASK_QUEUES.build });
export const neighbours = proxyActivities<SimilarActivities>({ ...wholeCatalogue, taskQueue: TASK_QUEUES.neighbours });
export const similarRecords = proxyActivities<SimilarRecordActivities>({
  ...quick,
  taskQueue: TASK_QUEUES.orchestrator,
});
export const scheduleMeasures = proxyActivities<ScheduleActivities>({
  ...wholeCatalogue,
  taskQueue: TASK_QUEUES.orchestrator,
});
export const scheduleStarts = proxyActivities<ScheduleStartActivities>({
  ...quick,
  taskQueue: TASK_QUEUES.orchestrator,
});
export const embedding = proxyActivities<EmbedActivities>({ ...embedBatch, taskQueue: TASK_QUEUES.embed });

/** Tries again until the shards answer, but no longer than `withinMs`; the last failure tells which did not. */
export function probing(withinMs: number): Pick<ServingActivities, 'probeGeneration'> {
  return proxyActivities<Pick<ServingActivities, 'probeGeneration'>>({
    taskQueue: TASK_QUEUES.orchestrator,
    startToCloseTimeout: '30 seconds',
    scheduleToCloseTimeout: withinMs,
    cancellationType: 'TRY_CANCEL',
    retry: { initialInterval: '100 milliseconds', maximumInterval: '2 seconds', backoffCoefficient: 1.5 },
  });
}

export function hosting(host: string): SearchHostActivities {
  return proxyActivities<SearchHostActivities>({ ...hostShard, taskQueue: searchQueue(host) });
}
