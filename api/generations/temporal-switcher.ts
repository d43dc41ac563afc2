import type { Client } from '@temporalio/client';
import type { Config } from '../../infra/config/env.ts';
import { promoteGeneration, rollBack } from '../../infra/generations/promote.ts';
import type { Stores } from '../../infra/stores.ts';
import type { Switcher } from '../ports.ts';
import { temporalCalls } from '../training/temporal-calls.ts';

/** A switch that takes longer than a target may take to come up has no orchestrator to make it. */
const SWITCH_MS = 55_000;

/** Switches over a Temporal client, which need not be connected yet. */
export function temporalSwitcher(
  client: Client,
  config: Pick<Config, 'temporal'>,
  stores: Pick<Stores, 'artifacts' | 'registry'>,
): Switcher {
  const call = temporalCalls(client, config);
  const deps = { stores, client };
  return {
    promote: (wish, generation) => call(() => promoteGeneration(deps, wish, generation), SWITCH_MS),
    rollBack: (wish, to) => call(() => rollBack(deps, wish, to), SWITCH_MS),
  };
}
