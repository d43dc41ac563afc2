import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Of each direction. Loss 1 cuts the link. */
export interface LinkConditions {
  delayMs: number;
  lossShare: number;
  /** 0 or absent: as fast as it goes. */
  bytesPerSecond?: number;
}

/** Two network namespaces, as two hosts, and one link between them that can be made bad. */
export interface NetworkLink {
  readonly addresses: readonly [string, string];
  /** Runs a TypeScript file on one of the hosts, with an IPC channel. */
  fork(host: 0 | 1, file: string, args?: string[]): ChildProcess;
  set(conditions: LinkConditions): Promise<void>;
  close(): Promise<void>;
}

const ADDRESSES = ['10.77.0.1', '10.77.0.2'] as const;

/** Why this machine cannot make a bad link; null where it can. */
export function whyNoLink(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are Linux';
  const name = `lk-try-${process.pid}`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return 'no right to make network namespaces';
  const hasNetem = canDelay(name);
  execFileSync('ip', ['netns', 'del', name]);
  if (hasNetem) return null;
  const canRelay = spawnSync('python3', ['-c', 'open("/dev/net/tun", "r+b", buffering=0)']).status === 0;
  return canRelay ? null : 'the kernel has no netem, and there is no python3 with /dev/net/tun in its place';
}

/** A link without delay or loss yet. @throws where `whyNoLink` has a reason */
export async function openLink(seed: number): Promise<NetworkLink> {
  const hosts = ['a', 'b'].map((side) => `lk${process.pid}${side}`) as [string, string];
  for (const host of hosts) {
    execFileSync('ip', ['netns', 'add', host]);
    execFileSync('ip', ['-n', host, 'link', 'set', 'lo', 'up']);
  }
  const conditions = canDelay(hosts[0]) ? withNetem(hosts) : await withRelay(hosts, seed);
  return {
    addresses: ADDRESSES,
    fork: (host, file, args = []) =>
      spawn('ip', ['netns', 'exec', hosts[host], process.execPath, file, ...args], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }),
    set: conditions.set,
    async close() {
      await conditions.close();
      for (const host of hosts) execFileSync('ip', ['netns', 'del', host]);
    },
  };
}

type Conditions = Pick<NetworkLink, 'set' | 'close'>;

function canDelay(namespace: string): boolean {
  const words = ['-n', namespace, 'qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms'];
  if (spawnSync('tc', words).status !== 0) return false;
  execFileSync('tc', ['-n', namespace, 'qdisc', 'del', 'dev', 'lo', 'root']);
  return true;
}

function withNetem(hosts: readonly [string, string]): Conditions {
  const ip = (...words: string[]): unknown => execFileSync('ip', words);
  ip('link', 'add', 'name', 'lk0', 'netns', hosts[0], 'type', 'veth', 'peer', 'name', 'lk0', 'netns', hosts[1]);
  hosts.forEach((host, i) => {
    ip('-n', host, 'addr', 'add', `${ADDRESSES[i]!}/24`, 'dev', 'lk0');
    ip('-n', host, 'link', 'set', 'lk0', 'up');
  });
  return {
    async set({ delayMs, lossShare, bytesPerSecond = 0 }) {
      const rate = bytesPerSecond > 0 ? ['rate', `${8 * bytesPerSecond}bit`] : [];
      const netem = ['netem', 'delay', `${delayMs}ms`, 'loss', `${100 * lossShare}%`, ...rate];
      for (const host of hosts) {
        execFileSync('tc', ['-n', host, 'qdisc', 'replace', 'dev', 'lk0', 'root', ...netem]);
      }
    },
    close: async () => undefined,
  };
}

async function withRelay(hosts: readonly [string, string], seed: number): Promise<Conditions> {
  const script = new URL('./tun-relay.py', import.meta.url).pathname;
  const relay = spawn('python3', [script, String(seed), ...hosts], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: relay.stdout });
  const told = async (): Promise<void> => void (await once(lines, 'line'));
  await Promise.race([
    told(),
    once(relay, 'exit').then(() => Promise.reject(new Error('The relay ended before it was ready.'))),
  ]);
  return {
    async set({ delayMs, lossShare, bytesPerSecond = 0 }) {
      const answered = told();
      relay.stdin.write(`${delayMs} ${lossShare} ${bytesPerSecond}\n`);
      await answered;
    },
    async close() {
      const ended = once(relay, 'exit');
      relay.stdin.end();
      await ended;
    },
  };
}
