import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { hardware } from '../infra/bench/hardware.ts';
import { connectEcho, serveEcho, TRANSPORTS } from './sync-echo.ts';
import type { Transport } from './sync-echo.ts';

/*
 * What should carry gradients and parameters? A header of 64 bytes and a body go to another process, which sends both back; one at a
 * time, over loopback. Transports take turns in each round, so that a noisy machine is equally unkind to all.
 * Usage: node bench/sync-transport.ts [rounds=5]
 */
const SIZES = [4_096, 227_000, 2_000_000, 8_000_000];
/** Bytes of bodies that one round of one transport moves at most, and how often it asks at least. */
const ROUND_BYTES = 60e6;
const MAX_ASKS = 500;
const MIN_ASKS = 12;
const HEADER = Buffer.alloc(64, 7);

if (process.send !== undefined) {
  const [transport, folder] = process.argv.slice(2) as [Transport, string];
  process.on('disconnect', () => process.exit());
  process.send(await serveEcho(transport, folder));
} else {
  await bench(Number(process.argv[2] ?? 5));
}

async function bench(rounds: number): Promise<void> {
  console.log(JSON.stringify({ sizes: SIZES, rounds, header: HEADER.length, ...hardware() }));
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-sync-'));
  for (const size of SIZES) {
    const latencies = new Map<Transport, number[]>(TRANSPORTS.map((transport) => [transport, []]));
    for (let round = 0; round < rounds; round++) {
      for (const transport of TRANSPORTS) latencies.get(transport)!.push(...(await measure(transport, size, folder)));
    }
    const figures = [...latencies].map(([transport, each]) => {
      const sorted = each.sort((a, b) => a - b);
      const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))]!;
      const mean = sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length;
      return { transport, n: sorted.length, p50: at(0.5), p99: at(0.99), megabytesPerSecond: (2 * size) / mean / 1e3 };
    });
    const base = figures.find(({ transport }) => transport === 'zeromq + CURVE')!;
    console.table(
      figures.map(({ transport, n, p50, p99, megabytesPerSecond }) => ({
        bytes: size,
        transport,
        asks: n,
        'p50 ms': Number(p50.toFixed(3)),
        'p99 ms': Number(p99.toFixed(3)),
        'MB/s both ways': Math.round(megabytesPerSecond),
        'p50 of zeromq + CURVE / p50': Number((base.p50 / p50).toFixed(2)),
      })),
    );
  }
  await rm(folder, { recursive: true });
}

async function measure(transport: Transport, size: number, folder: string): Promise<number[]> {
  const server = fork(import.meta.filename, [transport, folder]);
  const [address] = (await once(server, 'message')) as [string];
  const echo = await connectEcho(transport, address);
  const body = Buffer.alloc(size, 1);
  const asks = Math.max(MIN_ASKS, Math.min(MAX_ASKS, Math.floor(ROUND_BYTES / size)));
  const latencies: number[] = [];
  for (let i = -5; i < asks; i++) {
    const start = performance.now();
    const answer = await echo.ask(HEADER, body);
    if (answer.length !== size) throw new Error(`Expected ${size} bytes from ${transport}, got ${answer.length}.`);
    if (i >= 0) latencies.push(performance.now() - start);
  }
  echo.close();
  server.disconnect();
  await once(server, 'exit');
  return latencies;
}
