import { WorkflowNotFoundError } from '@temporalio/client';
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { partId, partOf } from '../../contracts/data-parallel.ts';
import type {
  LiveTraining,
  ParameterShardProgress,
  ReplicaProgress,
  TrainingPart,
} from '../../contracts/data-parallel.ts';
import type { StagePartProgress } from '../../contracts/model-parallel.ts';
import type { TrainProgress } from '../../contracts/training.ts';

type Pending = NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number];

/**
 * A training as its newest heartbeats tell it; of one that is spread over several processes, the lead's figures and all parts.
 * Undefined while it does not run, and until its first step.
 */
export async function liveTraining(client: Client, trainWorkflowId: string): Promise<LiveTraining | undefined> {
  const about = await client.workflow
    .getHandle(trainWorkflowId)
    .describe()
    .catch((error: unknown) => {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    });
  if (about?.status.name !== 'RUNNING') return undefined;
  const pending = about.raw.pendingActivities ?? [];
  const parts = pending.flatMap((activity) => partFrom(activity) ?? []).sort(byPlace);
  const lead = parts.length === 0 ? pending[0] : pending.find(({ activityId }) => LEADS.includes(activityId ?? ''));
  const progress = lead && (heartbeatOf(lead) as LeadBeat | null);
  // Until its first step an attempt's heartbeats carry nothing, or only where it is.
  if (progress?.step === undefined) return undefined;
  return parts.length === 0 ? progress : { ...progressOf(progress), parts };
}

const LEADS = [partId('replica', 0), partId('stage', 0)];

type LeadBeat = TrainProgress & Partial<ReplicaProgress | StagePartProgress>;
/** What any part may tell. */
type Beat = Partial<ReplicaProgress & ParameterShardProgress & StagePartProgress> & { host?: string };

/** What any training tells; the rest stands with its part. */
function progressOf(beat: LeadBeat): TrainProgress {
  const { epoch, numEpochs, step, numSteps, loss, learningRate, recallByEpoch } = beat;
  const { samplesPerSecond, backend, checkpoint } = beat;
  return { epoch, numEpochs, step, numSteps, loss, learningRate, recallByEpoch, samplesPerSecond, backend, checkpoint };
}

function partFrom(activity: Pending): TrainingPart | undefined {
  const part = partOf(activity.activityId ?? '');
  if (part === undefined) return undefined;
  const beat = heartbeatOf(activity) as Beat | null;
  return {
    ...part,
    host: beat?.host ?? null,
    attempt: activity.attempt ?? 1,
    holds: beat?.holds ?? null,
    step: beat?.step ?? null,
    loss: beat?.loss ?? null,
    bytesPerStep: beat?.bytesPerStep ?? null,
    staleness: beat?.staleness ?? [],
    note: beat?.waiting ?? activity.lastFailure?.message ?? null,
  };
}

/** What computes first, each kind in order. */
function byPlace(a: TrainingPart, b: TrainingPart): number {
  return b.role.localeCompare(a.role) || a.index - b.index;
}

function heartbeatOf(activity: Pending): unknown {
  const details = activity.heartbeatDetails?.payloads?.[0]?.data;
  return details?.length ? (JSON.parse(Buffer.from(details).toString('utf8')) as unknown) : null;
}
