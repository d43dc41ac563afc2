import type { PlacedPart } from '../../contracts/data-parallel.ts';
import type { DataParallelConfig } from '../../contracts/training.ts';

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

/** A table of who computes what where, for the Temporal UI; parts that no host has taken yet are missing from `placed`. */
export function describePlaces(
  numbers: { replicas: number; parameters: number },
  placed: readonly Pick<PlacedPart, 'role' | 'index' | 'host'>[],
): string {
  const rows = (['replica', 'parameters'] as const).flatMap((role) =>
    Array.from({ length: role === 'replica' ? numbers.replicas : numbers.parameters }, (_, index) => {
      const host = placed.find((part) => part.role === role && part.index === index)?.host;
      const name = role === 'replica' ? `replica ${index}${index === 0 ? ', leads' : ''}` : `parameter shard ${index}`;
      return `| ${name} | ${host === undefined ? 'waits for a trainer' : `\`${host}\``} |`;
    }),
  );
  return ['| part | host |', '|---|---|', ...rows].join('\n');
}

const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;
