import type { PlacedPart } from '../../contracts/data-parallel.ts';
import type { DataParallelConfig, ModelParallelConfig } from '../../contracts/training.ts';

/** How a training is spread, in one sentence. */
export function describeSpread({ replicas, exchange, mode, compression }: DataParallelConfig): string {
  const meet = exchange.kind === 'parameterServer' ? count(exchange.shards, 'parameter shard') : 'a ring';
  return `${count(replicas, 'replica')} over ${meet}; ${MODES[mode.kind](mode as never)}; ${SENT[compression.kind](compression as never)}.`;
}

type Kinds<T extends { kind: string }> = { [K in T['kind']]: (of: Extract<T, { kind: K }>) => string };

const MODES: Kinds<DataParallelConfig['mode']> = {
  sync: ({ backups }) => (backups === 0 ? 'in step' : `in step, without the slowest ${backups} of each`),
  ssp: ({ staleness }) => `at most ${count(staleness, 'step')} apart`,
  async: ({ pushEvery, fetchEvery }) =>
    `each at its own pace, pushing every ${pushEvery} and fetching every ${fetchEvery} steps`,
};

const SENT: Kinds<DataParallelConfig['compression']> = {
  none: () => 'gradients in full',
  fp16: () => 'gradients at half precision',
  topK: ({ share }) => `the largest ${+(share * 100).toPrecision(3)} % of each gradient`,
  oneBit: () => 'one bit per value of a gradient',
};

/** How a model is cut, in one sentence. */
export function describeCut(config: ModelParallelConfig): string {
  const { stages, cut, microBatches, schedule, classifierParts, maxBytesPerStage } = config;
  const where = cut === 'auto' ? 'cut by cost' : `cut at layer ${cut.join(', ')}`;
  const order = schedule === 'gpipe' ? 'all forward, then all backward' : 'one forward, one backward';
  return [
    `${count(stages, 'stage')}${stages === 1 ? '' : `, ${where}`}`,
    ...(classifierParts === 1 ? [] : [`the classifier over ${classifierParts} processes`]),
    `${count(microBatches, 'micro-batch', 'es')} a step, ${order}`,
    ...(maxBytesPerStage === undefined ? [] : [`at most ${(maxBytesPerStage / 1e6).toFixed(0)} MB each`]),
  ]
    .join('; ')
    .concat('.');
}

type NamedPart = Pick<PlacedPart, 'role' | 'index'> & { name: string };

/** Where a part is, and where it was when it was lost last. */
export interface Place extends Pick<PlacedPart, 'role' | 'index' | 'host'> {
  before?: string;
}

/** The places with this part where it is now. */
export function withPlaced<T extends Place>(placed: readonly T[], part: T): T[] {
  const isSame = ({ role, index }: Place): boolean => role === part.role && index === part.index;
  const { host } = placed.find(isSame) ?? {};
  const moved = host === undefined || host === part.host ? part : { ...part, before: host };
  return [...placed.filter((each) => !isSame(each)), moved];
}

/**
 * Who computes what where, for the Temporal UI: on how many hosts, and a table. Parts that no host has taken yet are missing from
 * `placed`; one that was lost is told of once another host has it.
 */
export function describePlaces(parts: readonly NamedPart[], placed: readonly Place[]): string {
  const holds = (part: NamedPart): boolean => part.role === 'parameters';
  const rows = [...parts.filter((part) => !holds(part)), ...parts.filter(holds)].map((part) => {
    const { host, before } = placed.find(({ role, index }) => role === part.role && index === part.index) ?? {};
    const name = `${part.name}${part.index === 0 && !holds(part) ? ', leads' : ''}`;
    const where = host === undefined ? 'waits for a trainer' : `\`${host}\``;
    return `| ${name} | ${where}${before === undefined ? '' : `, lost on \`${before}\``} |`;
  });
  const numHosts = new Set(placed.map(({ host }) => host)).size;
  const numWaiting = rows.length - placed.length;
  const waiting = numWaiting === 0 ? '' : `, ${count(numWaiting, 'part')} waiting for one`;
  const hosts = `On ${count(numHosts, 'trainer')}${waiting}; a part that is lost goes on at any that lives.`;
  return [hosts, '', '| part | host |', '|---|---|', ...rows].join('\n');
}

const count = (number: number, noun: string, plural = 's'): string => `${number} ${noun}${number === 1 ? '' : plural}`;
