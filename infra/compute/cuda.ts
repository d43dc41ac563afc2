import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { childEnv } from '../config/env.ts';

/**
 * The CUDA devices this process may use, by the driver's own account; empty without a driver.
 * `CUDA_VISIBLE_DEVICES` set to nothing or -1 hides them all, as it does from the CUDA libraries.
 */
export async function cudaDevices(env: NodeJS.ProcessEnv = childEnv({})): Promise<string[]> {
  const visible = env.CUDA_VISIBLE_DEVICES;
  if (visible === '' || visible === '-1') return [];
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', ['-L'], { env, timeout: 10_000 });
    return stdout
      .split('\n')
      .map((line) => /^GPU \d+: (.*?)(?: \(UUID.*)?$/.exec(line)?.[1])
      .filter((name) => name !== undefined);
  } catch {
    // No such command, or no driver behind it: both mean that no device can be used.
    return [];
  }
}
