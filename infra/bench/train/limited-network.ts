import { execFileSync, spawnSync } from 'node:child_process';
import type { GangHost } from './gang.ts';

/** Bytes that may go at once; the kernel's timers could not keep a fast link busy with less. */
const MIN_BURST_BYTES = 65_536;
const BURST_SECONDS = 0.002;
/** Queue of a link: senders wait, nothing is lost. */
const QUEUE_BYTES = 16 * 1024 ** 2;

/** Hosts of one switch, a network namespace each; every link carries so much in each direction. */
export interface LimitedNetwork {
  hosts: GangHost[];
  close(): void;
}

/** Why this machine cannot make such a network; null where it can. */
export function whyNoNetwork(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are Linux';
  try {
    openLimitedNetwork(1, 1e8).close();
    return null;
  } catch (error) {
    return `no right, or no kernel, to make one (${(error as Error).message.split('\n')[0]})`;
  }
}

/** @throws where `whyNoNetwork` has a reason */
export function openLimitedNetwork(numHosts: number, bitsPerSecond: number): LimitedNetwork {
  const name = (host: number | 'switch'): string => `lkb${process.pid}-${host}`;
  const made: string[] = [];
  const ip = (...words: string[]): unknown => execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'pipe'] });
  const limit = (namespace: string, device: string): void => {
    const burst = Math.max(MIN_BURST_BYTES, Math.round((bitsPerSecond / 8) * BURST_SECONDS));
    const words = ['tbf', 'rate', `${Math.round(bitsPerSecond)}bit`, 'burst', `${burst}`, 'limit', `${QUEUE_BYTES}`];
    execFileSync('tc', ['-n', namespace, 'qdisc', 'add', 'dev', device, 'root', ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  };
  const add = (namespace: string): void => {
    ip('netns', 'add', namespace);
    made.push(namespace);
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
  };
  const close = (): void => {
    for (const namespace of made) spawnSync('ip', ['netns', 'del', namespace]);
  };
  try {
    const hub = name('switch');
    add(hub);
    ip('-n', hub, 'link', 'add', 'hub', 'type', 'bridge');
    ip('-n', hub, 'link', 'set', 'hub', 'up');
    const hosts = Array.from({ length: numHosts }, (_, host): GangHost => {
      const [own, port, address] = [name(host), `port${host}`, `10.78.0.${host + 1}`];
      add(own);
      ip('-n', hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'uplink', 'netns', own);
      ip('-n', hub, 'link', 'set', port, 'master', 'hub', 'up');
      ip('-n', own, 'addr', 'add', `${address}/24`, 'dev', 'uplink');
      ip('-n', own, 'link', 'set', 'uplink', 'up');
      // What a host sends, and what the switch sends to it.
      limit(own, 'uplink');
      limit(hub, port);
      return { address, command: ['ip', 'netns', 'exec', own] };
    });
    return { hosts, close };
  } catch (error) {
    close();
    throw error;
  }
}
