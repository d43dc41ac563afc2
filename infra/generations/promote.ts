import type { Client } from '@temporalio/client';
import { LookalikeError, isLookalikeError } from '../../contracts/errors.ts';
import type { Generation, SwitchOrder } from '../../contracts/serving.ts';
import { rollbackTarget } from '../../lib/generations/rollback-target.ts';
import type { Stores } from '../stores.ts';
import { requestSwitch } from '../temporal/serve-client.ts';
import { servingTarget } from '../temporal/serving-target.ts';
import { reasonsOf } from './reasons.ts';

/** Long enough for the largest shards to load; who waits should hear of a target that does not come up. */
const STARTUP_MS = 45_000;

export interface SwitchWish {
  catalogue: string;
  by: string;
  reason: string | null;
  /** Unique per wish: the same one again joins the switch under way. */
  request: string;
}

export interface Switched {
  generation: number;
  /** What served until now; null when nothing did, or the generation served already. */
  previous: number | null;
  /** False when the generation served already. */
  switched: boolean;
}

export interface SwitchDeps {
  stores: Pick<Stores, 'artifacts' | 'registry'>;
  client: Client;
}

/**
 * Makes a generation that served before serve again, from the artefacts it was made of: nothing is trained, embedded or built. What
 * serves goes on until the other one answers, and if that does not come up.
 * @throws LookalikeError `notFound` no such generation, or its artefacts are gone | `conflict` it never served | `unavailable`
 */
export async function promoteGeneration(deps: SwitchDeps, wish: SwitchWish, number: number): Promise<Switched> {
  return switchBack(deps, wish, 'promote', await mustFind(deps, wish.catalogue, number));
}

/** @param to the generation before the one that serves, unless given; otherwise as {@link promoteGeneration} */
export async function rollBack(deps: SwitchDeps, wish: SwitchWish, to: number | null = null): Promise<Switched> {
  const { generations } = deps.stores.registry;
  const { catalogue } = wish;
  const all = await generations.list(catalogue);
  if (!all.some(({ status }) => status === 'serving')) {
    throw new LookalikeError('conflict', `Expected a generation of "${catalogue}" to serve, found none to roll back.`);
  }
  const number = to ?? rollbackTarget(all, await generations.switches(catalogue));
  if (number === null) {
    throw new LookalikeError('conflict', `Expected a generation of "${catalogue}" that served before, found none.`);
  }
  return switchBack(deps, wish, 'rollback', await mustFind(deps, catalogue, number));
}

async function mustFind({ stores }: SwitchDeps, catalogue: string, number: number): Promise<Generation> {
  const found = await stores.registry.generations.get(catalogue, number);
  if (found !== undefined) return found;
  throw new LookalikeError('notFound', `Expected a generation ${number} of catalogue "${catalogue}", found none.`);
}

async function switchBack(
  { stores, client }: SwitchDeps,
  { catalogue, by, reason, request }: SwitchWish,
  how: SwitchOrder['how'],
  generation: Generation,
): Promise<Switched> {
  const { number } = generation;
  if (generation.status === 'serving') return { generation: number, previous: null, switched: false };
  const target = servingTarget(generation);
  if (generation.status !== 'retired' || target === null) throw neverServed(generation);
  await requireArtifacts(stores, generation, [target.model, target.index]);
  const [serving] = await stores.registry.generations.list(catalogue, 'serving');
  const { previous } = await requestSwitch(
    client,
    catalogue,
    { ...target, startupTimeoutMs: STARTUP_MS, order: { how, by, reason } },
    serving === undefined ? null : servingTarget(serving),
    request,
  );
  return { generation: number, previous, switched: true };
}

function neverServed({ catalogue, number, status, metrics }: Generation): LookalikeError {
  const told = reasonsOf(metrics).join(' ');
  const reasons = told === '' ? '' : ` (${told})`;
  const way =
    status === 'building'
      ? 'Its run will switch to it; wait for that.'
      : 'It has nothing that could serve. `lookalike retrain --force` makes it so, reusing what was made.';
  return new LookalikeError(
    'conflict',
    `Expected generation ${number} of "${catalogue}" to have served before, but it is ${status}${reasons}. ${way}`,
  );
}

/** Told at once, instead of after hosts have tried in vain to load what garbage collection took. */
async function requireArtifacts(
  { artifacts }: Pick<Stores, 'artifacts'>,
  { number, catalogue }: Generation,
  [model, index]: [string, string],
): Promise<void> {
  try {
    await artifacts.get(model);
    const { inputs } = (await artifacts.get(index)).manifest;
    const shards = Object.entries(inputs).filter(([role]) => /^shard\d+$/.test(role));
    for (const [, shard] of shards) await artifacts.get(shard);
  } catch (error) {
    if (!isLookalikeError(error) || error.code !== 'notFound') throw error;
    throw new LookalikeError(
      'notFound',
      `Expected the artefacts of generation ${number} of "${catalogue}", but \`artifacts gc\` has taken them ` +
        '(it keeps those of the generations that served last). Name a newer generation, or retrain.',
      {},
      { cause: error },
    );
  }
}
