import { errorMessage, isLookalikeError } from '../../contracts/errors.ts';
import { cudaDevices } from '../compute/cuda.ts';
import type { Config } from '../config/env.ts';
import { ownsServer } from '../temporal/connection.ts';
import type { ProvisionOptions, ProvisionReport } from './progress.ts';
import { provisionTemporal } from './temporal.ts';
import { provisionTensorflow } from './tensorflow.ts';
import { provisionWeights } from './weights.ts';

export type { ProvisionEvent, ProvisionOptions, ProvisionReport } from './progress.ts';

/** How one step of provisioning went. */
export interface ProvisionOutcome {
  what: string;
  seconds: number;
  /** True when it was already there. */
  reused: boolean;
  /** Why it is not there, where the product can do without; null when it is there. */
  missing: string | null;
}

/**
 * Provides all that the product needs and this machine lacks, side by side.
 * The native TensorFlow backend may fail: training then runs on WebAssembly, slower. Temporal and the weights may not.
 * @throws LookalikeError `missingDependency` | `corruptArtifact` | `cancelled`; the other steps are stopped then
 */
export async function provisionAll(
  config: Pick<Config, 'cacheDir' | 'temporal' | 'backend'>,
  report: ProvisionReport,
  options: ProvisionOptions = {},
): Promise<ProvisionOutcome[]> {
  // One failure stops the others: nobody waits minutes for a build that cannot be used.
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const inner = { ...options, signal };
  const step = async (
    what: string,
    work: (report: ProvisionReport) => Promise<unknown>,
    isOptional = false,
  ): Promise<ProvisionOutcome> => {
    const start = performance.now();
    let reused = false;
    let missing: string | null = null;
    try {
      await work((event) => {
        reused = event.phase === 'reused';
        report(event);
      });
    } catch (error) {
      const isCancelled = signal.aborted || (isLookalikeError(error) && error.code === 'cancelled');
      if (!isOptional || isCancelled) throw error;
      missing = errorMessage(error);
      report({ what, phase: 'done', detail: `not available, a slower backend will train: ${missing}`, fraction: 1 });
    }
    return { what, seconds: (performance.now() - start) / 1000, reused, missing };
  };
  const steps = [step('weights', (tell) => provisionWeights(config, tell, inner))];
  if (ownsServer(config)) steps.push(step('temporal', (tell) => provisionTemporal(config, tell, inner)));
  if (config.backend !== 'wasm' && config.backend !== 'cpu') {
    steps.push(step('tensorflow', (tell) => provisionTensorflow(config, tell, 'cpu', inner), true));
    // Beside the other, not instead: drivers that do not suit it are found out only when it runs.
    if (config.backend !== 'node' && (await cudaDevices(options.env)).length > 0) {
      steps.push(step('tensorflow-gpu', (tell) => provisionTensorflow(config, tell, 'gpu', inner), true));
    }
  }
  try {
    return await Promise.all(steps);
  } catch (error) {
    failed.abort(error);
    // Their children die and their scratch folders go before the caller hears of it.
    await Promise.allSettled(steps);
    throw error;
  }
}
