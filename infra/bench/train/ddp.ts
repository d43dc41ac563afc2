import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errorMessage } from '../../../contracts/errors.ts';
import { DDP_PROGRAM } from './ddp-program.ts';
import { WARM_UP_STEPS } from './workload.ts';
import type { TrainWorkload } from './workload.ts';

export interface DdpFigures {
  stepsPerSecond: number;
  medianStepMs: number;
  /** Sent and received by one replica, from the loopback's counters: of all that went over it meanwhile. */
  bytesPerStep: number;
  parameters: number;
  torch: string;
}

/** Runs the peer with `world` processes; a sentence where there is no such Python or no torch. */
export async function measureDdp(
  python: string,
  workload: TrainWorkload,
  world: number,
  signal: AbortSignal,
): Promise<DdpFigures | string> {
  const { model, features, dim, labels, batch, steps, seed } = workload;
  const settings = {
    model,
    features,
    dim,
    labels,
    batch,
    steps,
    seed,
    margin: 0.1,
    scale: 16,
    warmUp: WARM_UP_STEPS,
    world,
  };
  // The program starts itself again for each replica, so it has to be a file.
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-ddp-'));
  const program = join(folder, 'ddp.py');
  try {
    await writeFile(program, DDP_PROGRAM);
    const request = JSON.stringify({ ...settings, port: await freePort() });
    const { stdout } = await promisify(execFile)(python, [program, request], { signal, timeout: 600_000 });
    const figures = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as DdpFigures;
    // Every byte is sent by one replica and received by another.
    return { ...figures, bytesPerStep: (2 * figures.bytesPerStep) / world };
  } catch (error) {
    signal.throwIfAborted();
    const lines = errorMessage(error).trim().split('\n');
    return `No peer: ${python} could not run PyTorch's DDP (${lines.at(-1)}).`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
