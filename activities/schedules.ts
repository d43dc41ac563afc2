import type { Client } from '@temporalio/client';
import { measureChanges } from '../infra/schedules/measure-changes.ts';
import { measureDrift } from '../infra/schedules/measure-drift.ts';
import type { Stores } from '../infra/stores.ts';
import { startRetrain } from '../infra/temporal/retrain-client.ts';
import { beating, quick } from './heartbeat.ts';
import type { ScheduleActivities, ScheduleStartActivities } from './interfaces.ts';

/** What a schedule looks at, and the run that it starts. */
export function createScheduleActivities(
  stores: Pick<Stores, 'artifacts' | 'registry'>,
  client: Client,
): ScheduleActivities & ScheduleStartActivities {
  return {
    measureChanges: ({ catalogue }) => beating(({ signal }) => measureChanges(stores, catalogue, signal)),
    measureDrift: ({ catalogue }) => beating(({ signal }) => measureDrift(stores, catalogue, signal)),
    startDueRetrain: (input) => quick(() => startRetrain(client, input)),
  };
}
