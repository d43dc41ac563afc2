import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseHost, isCrowded, retryDelayMs } from '../../../workflows/policy/placement.ts';

const base = { generation: 1, shard: 0, replica: 0, endpoints: [], avoid: null };
const row = (shard: number, replica: number, host: string, generation = 1) => ({ generation, shard, replica, host });

describe('chooseHost', () => {
  it('says so when no host lives', () => {
    expect(chooseHost({ ...base, hosts: [] })).toBeNull();
  });

  it('keeps replicas of a shard apart even if their host has the least to do', () => {
    const endpoints = [row(0, 1, 'a'), row(1, 0, 'b'), row(2, 0, 'b')];
    expect(chooseHost({ ...base, hosts: ['a', 'b'], endpoints })).toBe('b');
  });

  it('puts replicas together when there is one host only', () => {
    expect(chooseHost({ ...base, hosts: ['a'], endpoints: [row(0, 1, 'a')] })).toBe('a');
  });

  it('counts every generation that a host carries, but not the replica it places', () => {
    const endpoints = [row(3, 0, 'a', 7), row(0, 0, 'b')];
    expect(chooseHost({ ...base, hosts: ['a', 'b'], endpoints })).toBe('b');
  });

  it('avoids the host that lost the replica unless it is the last one', () => {
    expect(chooseHost({ ...base, hosts: ['a', 'b'], avoid: 'a' })).toBe('b');
    expect(chooseHost({ ...base, hosts: ['a'], avoid: 'a' })).toBe('a');
  });

  it('spreads replicas that choose at the same moment, without seeing each other', () => {
    const hosts = ['a', 'b', 'c'];
    const chosen = [0, 1, 2].map((replica) => chooseHost({ ...base, hosts, replica }));
    expect(new Set(chosen).size).toBe(3);
  });

  it('places one after another so that loads differ by at most one and twins stay apart', () => {
    const sizes = fc.record({ hosts: fc.integer({ min: 2, max: 6 }), shards: fc.integer({ min: 1, max: 12 }) });
    fc.assert(
      fc.property(sizes, (size) => {
        const hosts = Array.from({ length: size.hosts }, (_, i) => `host-${i}`);
        const endpoints: ReturnType<typeof row>[] = [];
        for (let shard = 0; shard < size.shards; shard++) {
          for (let replica = 0; replica < 2; replica++) {
            endpoints.push(row(shard, replica, chooseHost({ ...base, shard, replica, hosts, endpoints })!));
          }
          const twins = endpoints.filter((other) => other.shard === shard).map(({ host }) => host);
          expect(new Set(twins).size).toBe(2);
        }
        const loads = hosts.map((host) => endpoints.filter((other) => other.host === host).length);
        expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('isCrowded', () => {
  it('holds for the higher of two twins on one host only', () => {
    const endpoints = [row(0, 0, 'a'), row(0, 1, 'a'), row(1, 0, 'b')];
    expect(isCrowded({ ...base, replica: 1, endpoints }, 'a')).toBe(true);
    expect(isCrowded({ ...base, replica: 0, endpoints }, 'a')).toBe(false);
    expect(isCrowded({ ...base, replica: 1, endpoints }, 'b')).toBe(false);
  });
});

describe('retryDelayMs', () => {
  it('grows from 0.2 s to at most 10 s', () => {
    expect([0, 1, 5, 6, 100].map(retryDelayMs)).toEqual([200, 400, 6400, 10_000, 10_000]);
  });
});
