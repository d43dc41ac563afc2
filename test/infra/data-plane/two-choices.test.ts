import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PeerLoad } from '../../../infra/data-plane/peer-load.ts';
import { rankByTwoChoices } from '../../../infra/data-plane/two-choices.ts';
import { randomFrom } from '../../../lib/images/random.ts';

interface Host {
  load: PeerLoad;
  serviceMs: number;
  served: number;
  freeAt: number;
}

/**
 * One caller's requests at a steady rate over hosts that answer one after the other; every latency is measured as it ends.
 * @returns shares of the requests by host, and the mean latency
 */
function simulate(
  serviceMs: number[],
  everyMs: number,
  choose: (hosts: Host[], now: number) => Host,
): { shares: number[]; meanMs: number } {
  const hosts = serviceMs.map((ms): Host => ({ load: new PeerLoad(), serviceMs: ms, served: 0, freeAt: 0 }));
  const ends: { at: number; host: Host; ms: number }[] = [];
  const numRequests = 4_000;
  let sum = 0;
  for (let i = 0; i < numRequests; i++) {
    const now = i * everyMs;
    ends.sort((a, b) => a.at - b.at);
    while (ends.length > 0 && ends[0]!.at <= now) {
      const { at, host, ms } = ends.shift()!;
      host.load.inFlight--;
      host.load.record(ms, at);
    }
    const host = choose(hosts, now);
    host.load.inFlight++;
    host.served++;
    host.freeAt = Math.max(now, host.freeAt) + host.serviceMs;
    const ms = host.freeAt - now;
    sum += ms;
    ends.push({ at: host.freeAt, host, ms });
  }
  return { shares: hosts.map(({ served }) => served / numRequests), meanMs: sum / numRequests };
}

describe('the choice of a replica', () => {
  it('ranks every host once, the less loaded of two first and the rest by load', () => {
    const loads = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 8 });
    fc.assert(
      fc.property(loads, fc.integer(), (given, seed) => {
        const hosts = given.map((load, i) => ({ i, load }));
        const ranked = rankByTwoChoices(hosts, ({ load }) => load, randomFrom(seed));
        expect(ranked.map(({ i }) => i).sort()).toEqual(hosts.map(({ i }) => i));
        const rest = ranked.slice(1).map(({ load }) => load);
        expect(rest).toEqual([...rest].sort((a, b) => a - b));
        // Never the most loaded alone, for it loses against any other.
        const most = Math.max(...given);
        if (given.length > 1 && given.filter((load) => load === most).length === 1)
          expect(ranked[0]!.load).toBeLessThan(most);
      }),
    );
  });

  it('shares equal hosts out evenly, and keeps off a slow one', () => {
    const random = randomFrom(7);
    const two = (hosts: Host[], now: number): Host =>
      rankByTwoChoices(hosts, ({ load }) => load.value(now), random)[0]!;
    const blind = (hosts: Host[]): Host => hosts[Math.floor(random() * hosts.length)]!;
    const even = simulate([2, 2, 2, 2], 1, two);
    for (const share of even.shares) expect(Math.abs(share - 0.25)).toBeLessThan(0.1);
    const uneven = simulate([2, 2, 2, 10], 1, two);
    expect(uneven.shares[3]).toBeLessThan(0.1);
    expect(uneven.meanMs).toBeLessThan(simulate([2, 2, 2, 10], 1, blind).meanMs / 3);
  });

  it('feels a slow answer at once, forgets it in time, and counts what waits', () => {
    const load = new PeerLoad();
    load.record(2, 0);
    load.record(80, 10);
    expect(load.value(10)).toBeCloseTo(80.1, 0);
    load.record(2, 20);
    expect(load.value(20)).toBeGreaterThan(70);
    expect(load.value(60_000)).toBeLessThan(0.2);
    load.recordAtLeast(1, 20);
    expect(load.value(20)).toBeGreaterThan(70);
    load.inFlight = 3;
    expect(load.value(20)).toBeGreaterThan(280);
  });
});
