import { ScheduleAlreadyRunning, ScheduleNotFoundError, ScheduleOverlapPolicy } from '@temporalio/client';
import type { Client, ScheduleDescription, ScheduleHandle, ScheduleSpec } from '@temporalio/client';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import { TASK_QUEUES } from '../../contracts/queues.ts';
import type { CheckRetrainInput, RetrainRule, RetrainSchedule, ScheduleTrigger } from '../../contracts/schedules.ts';
import { SCHEDULE_TRIGGERS } from '../../contracts/schedules.ts';
import { SEARCH_ATTRIBUTES } from '../../contracts/search-attributes.ts';
import type { RetrainConfig } from '../../contracts/training.ts';
import { WORKFLOWS, workflowIds } from '../../contracts/workflows.ts';
import type { Config } from '../config/env.ts';
import { startAttributes } from './attributes.ts';

/** Checks that an outage of the server missed: older ones are left out, for one look at the present is enough. */
const CATCH_UP = '10 minutes';

/**
 * Creates the catalogue's schedule of the rule's kind, or changes the one that is there; one that is paused stays so.
 * @throws LookalikeError `invalidInput` when the server cannot read the cron expression or the time zone
 */
export async function setSchedule(
  client: Client,
  { catalogue, rule, config }: { catalogue: string; rule: RetrainRule; config: RetrainConfig },
): Promise<{ id: string; created: boolean }> {
  const scheduleId = workflowIds.schedule(catalogue, rule.trigger);
  const input: CheckRetrainInput = { catalogue, rule, config, schedule: scheduleId };
  const settings = {
    spec: specOf(rule),
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: CATCH_UP } as const,
    action: {
      type: 'startWorkflow' as const,
      workflowType: WORKFLOWS.checkRetrain,
      workflowId: workflowIds.checkRetrain(catalogue, rule.trigger),
      taskQueue: TASK_QUEUES.orchestrator,
      args: [input],
      typedSearchAttributes: startAttributes(WORKFLOWS.checkRetrain, catalogue),
      staticSummary: `Whether to retrain ${catalogue} (${rule.trigger})`,
    },
  };
  try {
    const typedSearchAttributes = startAttributes(WORKFLOWS.checkRetrain, catalogue);
    await client.schedule.create({ scheduleId, ...settings, typedSearchAttributes });
    return { id: scheduleId, created: true };
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw refusal(error, rule);
  }
  const handle = client.schedule.getHandle(scheduleId);
  await handle
    .update(({ state }) => ({ ...settings, state }))
    .catch((error: unknown) => {
      throw refusal(error, rule);
    });
  return { id: scheduleId, created: false };
}

/** By catalogue, then kind. */
export async function listSchedules(
  client: Client,
  config: Pick<Config, 'temporal'>,
  catalogue?: string,
): Promise<RetrainSchedule[]> {
  const ids = catalogue === undefined ? await knownIds(client) : idsOf(catalogue);
  const found: RetrainSchedule[] = [];
  for (const id of ids) {
    const handle = client.schedule.getHandle(id);
    try {
      found.push(describe(await handle.describe(), config));
    } catch (error) {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    }
  }
  return found;
}

/** Until it is resumed. @throws LookalikeError `notFound` */
export const pauseSchedule = (client: Client, catalogue: string, trigger: ScheduleTrigger, note: string) =>
  withSchedule(client, catalogue, trigger, (handle) => handle.pause(note));

/** @throws LookalikeError `notFound` */
export const resumeSchedule = (client: Client, catalogue: string, trigger: ScheduleTrigger, note: string) =>
  withSchedule(client, catalogue, trigger, (handle) => handle.unpause(note));

/** A run that it started goes on. @throws LookalikeError `notFound` */
export const deleteSchedule = (client: Client, catalogue: string, trigger: ScheduleTrigger) =>
  withSchedule(client, catalogue, trigger, (handle) => handle.delete());

/** Looks now, also while it is paused. @throws LookalikeError `notFound` */
export const triggerSchedule = (client: Client, catalogue: string, trigger: ScheduleTrigger) =>
  withSchedule(client, catalogue, trigger, (handle) => handle.trigger(ScheduleOverlapPolicy.SKIP));

async function withSchedule(
  client: Client,
  catalogue: string,
  trigger: ScheduleTrigger,
  work: (handle: ScheduleHandle) => Promise<void>,
): Promise<void> {
  const id = workflowIds.schedule(catalogue, trigger);
  try {
    await work(client.schedule.getHandle(id));
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
    throw new LookalikeError(
      'notFound',
      `Expected a schedule "${trigger}" of catalogue "${catalogue}", found none.`,
      { schedule: id },
      { cause: error },
    );
  }
}

function specOf(rule: RetrainRule): ScheduleSpec {
  if (rule.trigger !== 'cron') return { intervals: [{ every: rule.checkEveryMs }] };
  return { cronExpressions: [rule.cron], ...(rule.timeZone !== undefined && { timezone: rule.timeZone }) };
}

function idsOf(catalogue: string): string[] {
  return SCHEDULE_TRIGGERS.map((trigger) => workflowIds.schedule(catalogue, trigger));
}

async function knownIds(client: Client): Promise<string[]> {
  const ids: string[] = [];
  const query = `${SEARCH_ATTRIBUTES.kind} = '${WORKFLOWS.checkRetrain}'`;
  for await (const { scheduleId } of client.schedule.list({ query })) ids.push(scheduleId);
  return ids.sort();
}

function describe(told: ScheduleDescription, { temporal }: Pick<Config, 'temporal'>): RetrainSchedule {
  const [input] = (told.action.args ?? []) as [CheckRetrainInput];
  const { uiUrl, namespace } = temporal;
  return {
    id: told.scheduleId,
    catalogue: input.catalogue,
    rule: input.rule,
    recipe: input.config.recipe,
    paused: told.state.paused,
    note: told.state.note ?? null,
    nextCheck: told.info.nextActionTimes[0]?.toISOString() ?? null,
    lastCheck: told.info.recentActions.at(-1)?.takenAt.toISOString() ?? null,
    temporalUrl: `${uiUrl}/namespaces/${encodeURIComponent(namespace)}/schedules/${encodeURIComponent(told.scheduleId)}`,
  };
}

function refusal(error: unknown, rule: RetrainRule): unknown {
  // What the SDK makes of INVALID_ARGUMENT.
  if (!(error instanceof TypeError)) return error;
  const got = rule.trigger === 'cron' ? `"${rule.cron}" (${rule.timeZone ?? 'UTC'})` : JSON.stringify(rule);
  return new LookalikeError(
    'invalidInput',
    `Expected a cron expression such as "0 3 * * 1-5" and a known time zone, got ${got}: ${errorMessage(error)}.`,
    {},
    { cause: error },
  );
}
