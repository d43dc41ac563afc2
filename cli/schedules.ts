import { Argument, InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import type { Client } from '@temporalio/client';
import { LookalikeError } from '../contracts/errors.ts';
import type { RetrainRule, RetrainSchedule, ScheduleTrigger } from '../contracts/schedules.ts';
import { SCHEDULE_TRIGGERS } from '../contracts/schedules.ts';
import { resolveRetrainConfig } from '../infra/recipes/resolve.ts';
import { RetrainRuleSchema, parseDuration, ruleText } from '../infra/schedules/rule-schema.ts';
import {
  deleteSchedule,
  listSchedules,
  pauseSchedule,
  resumeSchedule,
  setSchedule,
  triggerSchedule,
} from '../infra/temporal/schedule-client.ts';
import { localUser } from './generations.ts';
import { amount, catalogueName, collect, wholeNumber } from './options.ts';
import { readOverrides } from './retrain.ts';
import { handles } from './run-command.ts';
import { table } from './table.ts';
import { withTemporal } from './workflows.ts';

export interface RuleOptions {
  cron?: string;
  timeZone?: string;
  changes?: number;
  drift?: number;
  checkEvery?: number;
}

interface SetOptions extends RuleOptions {
  recipe?: string;
  config?: string;
  set?: string[];
}

/** `schedules set | list | pause | resume | trigger | delete`: retraining without being asked. */
export function addScheduleCommands(program: Command): void {
  const group = program
    .command('schedules')
    .description('retraining by the clock, by changes of the catalogue, by drift of queries');

  handles<SetOptions>(
    group
      .command('set <catalogue>')
      .description('make or change schedules: one by each rule given')
      .option('--cron <expression>', 'five fields, for example "0 3 * * *"')
      .option('--time-zone <name>', 'of --cron (default: UTC)')
      .option('--changes <n>', 'after so many items and examples were added, changed or removed', wholeNumber(1))
      .option(
        '--drift <drop>',
        'when the mean cosine of queries and their nearest item has fallen by more since the model was new',
        amount(0, 2),
      )
      .option(
        '--check-every <time>',
        'between two looks for changes or drift, as 30s, 10m, 2h (default: 10m)',
        duration,
      )
      .option('--recipe <name>', 'named settings of the runs')
      .option('--config <file>', 'overrides from a .yaml or .json file')
      .option('--set <key=value>', 'one override; may be repeated', collect),
    async (context, options, catalogue = '') => {
      const rules = rulesOf(options);
      const file = options.config === undefined ? undefined : await readOverrides(options.config);
      const config = resolveRetrainConfig({ recipe: options.recipe, file, set: options.set });
      await withTemporal(context, async (client) => {
        for (const rule of rules) {
          const { id, created } = await setSchedule(client, { catalogue: catalogueName(catalogue), rule, config });
          context.progress.line(`${created ? 'Made' : 'Changed'} ${id}: ${ruleText(rule)}.`);
        }
        const schedules = await listSchedules(client, context.config, catalogue);
        context.print({ schedules }, () => describeSchedules(schedules));
      });
    },
  );

  handles<{ catalogue?: string }>(
    group
      .command('list')
      .description('schedules, when they look next, and where to see what they found')
      .option('--catalogue <name>', 'only of this catalogue', catalogueName),
    async (context, { catalogue }) =>
      withTemporal(context, async (client) => {
        const schedules = await listSchedules(client, context.config, catalogue);
        context.print({ schedules }, () => describeSchedules(schedules));
      }),
  );

  addAction(group, 'pause', 'look no more until it is resumed', (client, catalogue, trigger) =>
    pauseSchedule(client, catalogue, trigger, `Paused by ${localUser()}.`),
  );
  addAction(group, 'resume', 'look again', (client, catalogue, trigger) =>
    resumeSchedule(client, catalogue, trigger, `Resumed by ${localUser()}.`),
  );
  addAction(group, 'trigger', 'look now whether retraining is due', triggerSchedule);
  addAction(group, 'delete', 'remove it; a run that it started goes on', deleteSchedule);
}

const DONE = { pause: 'paused', resume: 'resumed', trigger: 'triggered', delete: 'deleted' } as const;

function addAction(
  group: Command,
  name: keyof typeof DONE,
  description: string,
  act: (client: Client, catalogue: string, trigger: ScheduleTrigger) => Promise<void>,
): void {
  const command = group
    .command(name)
    .description(description)
    .argument('<catalogue>', 'which catalogue', catalogueName);
  handles(
    command.addArgument(new Argument('<rule>', 'which of its schedules').choices(SCHEDULE_TRIGGERS)),
    async (context, _options, catalogue = '', trigger = '') =>
      withTemporal(context, async (client) => {
        await act(client, catalogue, trigger as ScheduleTrigger);
        context.print({ catalogue, trigger, done: DONE[name] }, () => `${catalogue} ${trigger}: ${DONE[name]}.`);
      }),
  );
}

/** @throws LookalikeError `invalidInput` without a rule, or with an option that belongs to none of those given */
export function rulesOf({ cron, timeZone, changes, drift, checkEvery: checkEveryMs }: RuleOptions): RetrainRule[] {
  if (cron === undefined && changes === undefined && drift === undefined) {
    throw new LookalikeError('invalidInput', 'Expected --cron, --changes or --drift, got none of them.');
  }
  if (timeZone !== undefined && cron === undefined) {
    throw new LookalikeError('invalidInput', 'Expected --time-zone with --cron only.');
  }
  if (checkEveryMs !== undefined && changes === undefined && drift === undefined) {
    throw new LookalikeError('invalidInput', 'Expected --check-every with --changes or --drift only.');
  }
  const given = [
    cron !== undefined && { trigger: 'cron', cron, timeZone },
    changes !== undefined && { trigger: 'changes', numChanges: changes, checkEveryMs },
    drift !== undefined && { trigger: 'drift', maxDrop: drift, checkEveryMs },
  ];
  return given.filter((rule) => rule !== false).map((rule) => RetrainRuleSchema.parse(rule));
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1_000)
    throw new InvalidArgumentError(`Expected a time such as 30s, 10m or 2h, got "${text}".`);
  return ms;
}

export function describeSchedules(schedules: RetrainSchedule[]): string {
  if (schedules.length === 0) return 'No schedules. `lookalike schedules set` makes one.';
  return table(
    ['SCHEDULE', 'RETRAINS', 'RECIPE', 'STATE', 'NEXT LOOK', 'LAST LOOK'],
    schedules.map((one) => [
      ...[one.id, ruleText(one.rule), one.recipe, one.paused ? `paused: ${one.note ?? ''}` : 'active'],
      ...[one.paused ? null : one.nextCheck, one.lastCheck],
    ]),
  );
}
