import { existsSync } from 'node:fs';
import { loadingProblem, resolveExecutionProvider } from '../compute/execution-provider.ts';
import { cudaDevices } from '../compute/cuda.ts';
import { loadTensorFlow } from '../compute/tensorflow.ts';
import type { LoadedTensorFlow } from '../compute/tensorflow.ts';
import type { Config } from '../config/env.ts';
import { checkWeights, weightsPath } from '../provision/weights.ts';
import { missing, ok, warning } from './check.ts';
import type { Question } from './check.ts';

const PROVISION = 'lookalike up';

/** What trains, what embeds, and with which weights. */
export function computeQuestions(config: Pick<Config, 'backend' | 'executionProvider' | 'cacheDir'>): Question[] {
  return [
    {
      name: 'training backend',
      why: 'TensorFlow.js trains the head',
      fix: 'npm ci',
      ask: async () => judgeBackend(await loadTensorFlow(config), await cudaDevices()),
    },
    {
      name: 'ONNX Runtime',
      why: 'turns pictures into vectors',
      fix: 'npm ci',
      async ask() {
        const { provider, reason } = await resolveExecutionProvider(config);
        const problem = await loadingProblem(provider);
        return problem === null ? ok(provider, reason) : missing(problem, 'npm ci');
      },
    },
    {
      name: 'backbone weights',
      why: 'ImageNet weights of EfficientNet-Lite0',
      fix: `delete ${weightsPath(config)} and run ${PROVISION}`,
      async ask() {
        const path = weightsPath(config);
        if (!existsSync(path)) return missing('not downloaded yet', PROVISION);
        await checkWeights(path);
        return ok(`${path}, checksum right`);
      },
    },
  ];
}

/** What to say of the backend that was chosen, given the CUDA devices that could have been used. */
export function judgeBackend(
  { backend, tried }: Pick<LoadedTensorFlow, 'backend' | 'tried'>,
  devices: string[],
): ReturnType<typeof ok> {
  const reasons = tried.map((other) => `${other.backend}: ${other.reason}`).join(' ');
  const why = reasons === '' ? 'the first choice works' : `faster ones were passed over. ${reasons}`;
  if (backend === 'gpu') return ok(backend, why);
  if (backend === 'node' && devices.length === 0) return ok(backend, why);
  // Chosen by configuration rather than for want of another.
  if (tried.length === 0) return ok(backend, 'set by LOOKALIKE_BACKEND');
  return warning(backend, PROVISION, why);
}
