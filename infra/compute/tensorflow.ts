import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import type * as Tf from '@tensorflow/tfjs';
import type * as Wasm from '@tensorflow/tfjs-backend-wasm';
import { LookalikeError, assertNever, errorMessage } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import { setNativeEnv } from '../config/env.ts';
import { cudaDevices } from './cuda.ts';
import { hasTfjsNode, requireTfjsNode, tfjsNodeFolder } from './tfjs-node-package.ts';
import type { TfjsNodeVariant } from './tfjs-node-package.ts';

/** TensorFlow.js as a value to pass on: node and gpu bring an instance of their own, so nobody imports `tf` by name. */
export type TensorFlow = typeof Tf;

/** From fastest to slowest. wasm trains dense layers but no convolutions; cpu is plain JavaScript and does all. */
export const BACKENDS = ['gpu', 'node', 'wasm', 'cpu'] as const;
export type Backend = (typeof BACKENDS)[number];

export interface LoadedTensorFlow {
  tf: TensorFlow;
  backend: Backend;
  /** The faster backends that were passed over, and why. */
  tried: { backend: Backend; reason: string }[];
}

/**
 * What the native library should read when it loads. One thread per process: faster than two on the small matrices of a
 * head (4.7 against 7.0 ms a step of batch 128, 1280 to 128), and no sum is split by a thread count that differs
 * between machines. Deterministic kernels for CUDA; oneDNN said explicitly since it changes the last bits.
 */
export const TENSORFLOW_ENV = {
  TF_CPP_MIN_LOG_LEVEL: '2',
  TF_NUM_INTRAOP_THREADS: '1',
  TF_NUM_INTEROP_THREADS: '1',
  TF_DETERMINISTIC_OPS: '1',
  TF_ENABLE_ONEDNN_OPTS: '1',
} as const;

const loaded = new Map<string, Promise<TensorFlow>>();

/**
 * Loads the first backend of the chain that works here, starting from the configured one. Load one per process: wasm and
 * cpu share an instance whose current backend is the one asked for last.
 * Equal seeds give equal bytes on one backend and kind of processor, not across backends.
 */
export async function loadTensorFlow(config: Pick<Config, 'backend' | 'cacheDir'>): Promise<LoadedTensorFlow> {
  const first = config.backend === 'auto' ? 0 : BACKENDS.indexOf(config.backend);
  const tried: LoadedTensorFlow['tried'] = [];
  for (const backend of BACKENDS.slice(first)) {
    try {
      return { tf: await loadBackend(config, backend), backend, tried };
    } catch (error) {
      tried.push({ backend, reason: errorMessage(error).split('\n', 1)[0] ?? '' });
    }
  }
  const reasons = tried.map(({ backend, reason }) => `${backend}: ${reason}`).join('; ');
  throw new LookalikeError('missingDependency', `Expected a TensorFlow.js backend, none loads. Run npm ci. ${reasons}`);
}

async function loadBackend(config: Pick<Config, 'cacheDir'>, backend: Backend): Promise<TensorFlow> {
  const isNative = backend === 'gpu' || backend === 'node';
  const key = isNative ? `${backend} ${config.cacheDir}` : backend;
  const opening = loaded.get(key) ?? open(config, backend);
  loaded.set(key, opening);
  // One that did not load is forgotten: it may be provisioned meanwhile.
  opening.catch(() => loaded.delete(key));
  const tf = await opening;
  const name = isNative ? 'tensorflow' : backend;
  if (!(await tf.setBackend(name))) throw new Error(`tfjs refused its backend ${name}.`);
  return tf;
}

function open(config: Pick<Config, 'cacheDir'>, backend: Backend): Promise<TensorFlow> {
  switch (backend) {
    case 'gpu':
      return openGpu(config);
    case 'node':
      return openNative(config, 'cpu');
    case 'wasm':
      return openWasm();
    case 'cpu':
      return Promise.resolve(quiet(createRequire(import.meta.url)('@tensorflow/tfjs') as TensorFlow));
    default:
      return assertNever(backend);
  }
}

async function openGpu(config: Pick<Config, 'cacheDir'>): Promise<TensorFlow> {
  const devices = await cudaDevices();
  if (devices.length === 0) throw new Error('No CUDA device is visible.');
  const tf = await openNative(config, 'gpu');
  const native = tf.backend() as unknown as { isUsingGpuDevice?: boolean };
  if (native.isUsingGpuDevice !== true) throw new Error(`libtensorflow does not see ${devices.join(', ')}.`);
  return tf;
}

async function openNative(config: Pick<Config, 'cacheDir'>, variant: TfjsNodeVariant): Promise<TensorFlow> {
  if (!hasTfjsNode(config, variant)) {
    throw new Error(`The native TensorFlow backend (${variant}) is not provisioned.`);
  }
  setNativeEnv(TENSORFLOW_ENV);
  const tf = quiet(requireTfjsNode(tfjsNodeFolder(config, variant), variant));
  await tf.ready();
  return tf;
}

async function openWasm(): Promise<TensorFlow> {
  // By `require`, so that all share the one CommonJS instance of tfjs-core where backends register.
  const require = createRequire(import.meta.url);
  const tf = quiet(require('@tensorflow/tfjs') as TensorFlow);
  const wasm = require('@tensorflow/tfjs-backend-wasm') as typeof Wasm;
  const folder = dirname(require.resolve('@tensorflow/tfjs-backend-wasm'));
  wasm.setWasmPaths(join(folder, sep));
  // Several threads would sum in another order on another machine.
  wasm.setThreadsCount(1);
  if (!(await tf.setBackend('wasm'))) throw new Error('The WebAssembly backend does not start.');
  return tf;
}

/** Without tfjs's advertisement for tfjs-node on stderr. */
function quiet(tf: TensorFlow): TensorFlow {
  tf.enableProdMode();
  return tf;
}
