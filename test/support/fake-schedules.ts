import { ApplicationFailure } from '@temporalio/activity';
import type { ScheduleActivities, ScheduleStartActivities } from '../../activities/interfaces.ts';
import type { CatalogueChanges, QueryDrift } from '../../contracts/schedules.ts';

export type AllScheduleActivities = ScheduleActivities & ScheduleStartActivities;

/** What a schedule finds, and how the run is started that it finds due. */
export class FakeSchedules {
  changes: CatalogueChanges = { since: 1, added: 0, changed: 0, removed: 0 };
  drift: QueryDrift = {
    ...{ generation: 1, numReference: 200, numRecent: 200, reference: 0.8, recent: 0.8, standardError: 0.01 },
  };
  /** Strict until a test gives it. */
  startRetrain: ScheduleStartActivities['startDueRetrain'] = () => {
    throw ApplicationFailure.nonRetryable('no run was to be started', 'invalidInput');
  };
}

export function fakeScheduleActivities(found: FakeSchedules): AllScheduleActivities {
  return {
    measureChanges: async () => found.changes,
    measureDrift: async () => found.drift,
    startDueRetrain: (input) => found.startRetrain(input),
  };
}
