import type { Client } from '@temporalio/client';
import type { Config } from '../../infra/config/env.ts';
import * as schedules from '../../infra/temporal/schedule-client.ts';
import type { Scheduler } from '../ports.ts';
import { temporalCalls } from '../training/temporal-calls.ts';
import type { Recipes } from '../training/temporal-retrainer.ts';

/** Schedules over a Temporal client, which need not be connected yet. */
export function temporalScheduler(client: Client, config: Pick<Config, 'temporal'>, recipes: Recipes): Scheduler {
  const call = temporalCalls(client, config);
  return {
    list: (catalogue) => call(() => schedules.listSchedules(client, config, catalogue)),
    async set(catalogue, { rule, ...request }) {
      const resolved = recipes.resolve(request);
      return call(() => schedules.setSchedule(client, { catalogue, rule, config: resolved }));
    },
    act: (catalogue, trigger, action, by) =>
      call(() => {
        switch (action) {
          case 'pause':
            return schedules.pauseSchedule(client, catalogue, trigger, `Paused by ${by}.`);
          case 'resume':
            return schedules.resumeSchedule(client, catalogue, trigger, `Resumed by ${by}.`);
          case 'trigger':
            return schedules.triggerSchedule(client, catalogue, trigger);
        }
      }),
    remove: (catalogue, trigger) => call(() => schedules.deleteSchedule(client, catalogue, trigger)),
  };
}
