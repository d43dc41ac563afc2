import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import { cudaDevices } from './cuda.ts';

export type ExecutionProvider = 'cuda' | 'cpu';

export interface ResolvedExecutionProvider {
  provider: ExecutionProvider;
  /** Why this one, for people. */
  reason: string;
}

/** What brings ONNX Runtime's CUDA libraries, which its npm package does not hold. */
export const INSTALL_ONNX_CUDA = 'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node';

/** The smallest model there is: one Identity node from x to y, both one float. Loading it loads the provider. */
const IDENTITY_MODEL = Buffer.from(
  'CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEA0=',
  'base64',
);

/**
 * Where onnxruntime-node will run: CUDA when a device is visible and the provider really loads, else the CPU.
 * @throws LookalikeError `missingDependency` CUDA is demanded by configuration and cannot be had
 */
export async function resolveExecutionProvider(
  config: Pick<Config, 'executionProvider'>,
  findDevices: () => Promise<string[]> = cudaDevices,
): Promise<ResolvedExecutionProvider> {
  if (config.executionProvider === 'cpu') return { provider: 'cpu', reason: 'set by LOOKALIKE_EXECUTION_PROVIDER' };
  const isDemanded = config.executionProvider === 'cuda';
  const devices = await findDevices();
  const problem = devices.length === 0 ? 'no CUDA device is visible' : await loadingProblem('cuda');
  if (problem === null) return { provider: 'cuda', reason: `${devices.join(', ')}, and its libraries load` };
  if (!isDemanded) return { provider: 'cpu', reason: problem };
  throw new LookalikeError(
    'missingDependency',
    `Expected the CUDA execution provider (LOOKALIKE_EXECUTION_PROVIDER=cuda), but ${problem}. ` +
      `Run \`${INSTALL_ONNX_CUDA}\`, or set LOOKALIKE_EXECUTION_PROVIDER=auto.`,
  );
}

/** Why a provider cannot be used; null when a model loads and runs with it. */
export async function loadingProblem(provider: ExecutionProvider): Promise<string | null> {
  try {
    const { InferenceSession, Tensor } = await import('onnxruntime-node');
    const session = await InferenceSession.create(IDENTITY_MODEL, { executionProviders: [provider] });
    const { y } = await session.run({ x: new Tensor('float32', [7], [1]) });
    await session.release();
    return y?.data[0] === 7 ? null : `provider ${provider} computes wrongly`;
  } catch (error) {
    return `provider ${provider} does not load: ${errorMessage(error).split('\n', 1)[0]}`;
  }
}
