import type { ShardEndpoint } from '../../contracts/serving.ts';

export interface PlacementRequest {
  generation: number;
  shard: number;
  replica: number;
  /** Live hosts by name. */
  hosts: readonly string[];
  /** What stands where, of all generations. */
  endpoints: readonly Pick<ShardEndpoint, 'generation' | 'shard' | 'replica' | 'host'>[];
  /** Lost the replica just now: taken only if no other host lives. */
  avoid: string | null;
}

/**
 * The host for one replica: one that holds no other replica of the same shard, if there is such a one, and of those the one
 * with the fewest shards. Ties go round by shard and replica number, so that keepers that choose at the same moment spread out
 * without talking to each other.
 *
 * @returns null when no host lives
 */
export function chooseHost(request: PlacementRequest): string | null {
  const { generation, shard, replica, avoid } = request;
  const sorted = [...new Set(request.hosts)].sort();
  const trusted = sorted.filter((host) => host !== avoid);
  const hosts = trusted.length > 0 ? trusted : sorted;
  if (hosts.length === 0) return null;
  const others = request.endpoints.filter(
    (row) => !(row.generation === generation && row.shard === shard && row.replica === replica),
  );
  const twins = new Set(
    others.filter((row) => row.generation === generation && row.shard === shard).map((row) => row.host),
  );
  const load = (host: string): number => others.filter((row) => row.host === host).length;
  const apart = hosts.filter((host) => !twins.has(host));
  const candidates = apart.length > 0 ? apart : hosts;
  const turn = (host: string): number => (hosts.indexOf(host) - shard - replica) % hosts.length;
  const inTurn = (host: string): number => (turn(host) + hosts.length) % hosts.length;
  return candidates.toSorted((one, other) => load(one) - load(other) || inTurn(one) - inTurn(other))[0] ?? null;
}

/**
 * Whether the replica stands beside a twin of a lower number. Only the higher one counts as crowded, so that of two that share a
 * host one moves and not both.
 */
export function isCrowded(request: Omit<PlacementRequest, 'hosts' | 'avoid'>, host: string): boolean {
  const { generation, shard, replica, endpoints } = request;
  return endpoints.some(
    (row) => row.generation === generation && row.shard === shard && row.replica < replica && row.host === host,
  );
}

/** Pause before a replica is placed again after `losses` losses in a row: 0.2 s at first, 10 s at most. */
export function retryDelayMs(losses: number): number {
  return Math.min(10_000, 200 * 2 ** Math.min(losses, 10));
}
