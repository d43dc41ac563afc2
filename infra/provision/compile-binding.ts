import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/env.ts';
import { logFile } from './cache.ts';
import { CUDA_WHEELS } from './cuda-wheels.ts';
import type { ProvisionOptions, ProvisionReport } from './progress.ts';
import { downloadWheel } from './python-wheel.ts';
import type { PinnedWheel } from './python-wheel.ts';
import { runCommand } from './run-command.ts';
import { unzip } from './unzip.ts';

const TARGET = { platform: 'manylinux2014_x86_64', pythonVersion: '3.11' };

/** Linux x64 wheels that carry libtensorflow with its whole C API and headers; no Python runs from them. */
export const TENSORFLOW_WHEELS: Record<'cpu' | 'gpu', PinnedWheel> = {
  cpu: {
    requirement: 'tensorflow-cpu==2.15.1',
    sha256: '54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26',
    sizeBytes: 207_208_420,
    target: TARGET,
  },
  gpu: {
    requirement: 'tensorflow==2.15.1',
    sha256: 'bb0edd69103c154245c5f209f0507355cc68ba7e4de350084bc31edc562478e4',
    sizeBytes: 475_258_663,
    target: TARGET,
  },
};

const HEADERS = /^tensorflow\/include\/((?:tensorflow\/(?:c|core\/platform)|tsl)\/.*\.h)$/;
const LIBRARIES = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'];

/**
 * Fetches libtensorflow from its Python wheel into `tfjsNode/deps` and compiles the binding against it.
 * Two source files and the Node-API headers of an npm package need no node-gyp, hence no download of Node's headers.
 * @param target.root folder with `node_modules`
 * @param target.tfjsNode the tfjs-node package in it
 */
export async function compileBinding(
  config: Pick<Config, 'cacheDir'>,
  target: { what: string; variant: 'cpu' | 'gpu'; root: string; tfjsNode: string; scratch: string },
  report: ProvisionReport,
  options: ProvisionOptions,
): Promise<void> {
  const { what, variant, root, tfjsNode, scratch } = target;
  const log = { logFile: logFile(config, what), signal: options.signal, env: options.env };
  // Before 200 MB are fetched for nothing.
  await runCommand('c++', ['--version'], log);
  const deps = join(tfjsNode, 'deps');
  const include = join(deps, 'include');
  const lib = join(deps, 'lib');
  const unpack = async (wheel: PinnedWheel, place: (name: string) => string | null): Promise<void> => {
    const folder = join(scratch, 'wheel');
    const path = await downloadWheel(config, what, wheel, folder, report, options);
    await unzip(path, place, {
      signal: options.signal,
      onProgress: (fraction) => report({ what, phase: 'unpack', detail: wheel.requirement, fraction }),
    });
    await rm(folder, { recursive: true });
  };
  await unpack(TENSORFLOW_WHEELS[variant], (name) => {
    const header = HEADERS.exec(name)?.[1];
    if (header !== undefined) return join(include, header);
    const library = LIBRARIES.find((file) => name === `tensorflow/${file}`);
    return library === undefined ? null : join(lib, library);
  });
  for (const wheel of variant === 'gpu' ? CUDA_WHEELS : []) {
    // libtensorflow's own search path names ../nvidia/<part>/lib.
    await unpack(wheel, (name) => (/^nvidia\/\w+\/lib\/[^/]+\.so[.\d]*$/.test(name) ? join(deps, name) : null));
  }
  report({ what, phase: 'build', detail: 'compiling the TensorFlow binding', fraction: null });
  const output = join(tfjsNode, 'lib', 'napi-v8');
  await mkdir(output, { recursive: true });
  const args = ['-shared', '-fPIC', '-O2', '-std=c++17', '-DNAPI_VERSION=8', '-DNODE_GYP_MODULE_NAME=tfjs_binding'];
  const includes = [`-I${join(root, 'node_modules', 'node-api-headers', 'include')}`, `-I${include}`];
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(tfjsNode, 'binding', file));
  const libraries = LIBRARIES.map((file) => join(lib, file));
  // $ORIGIN: the folder is renamed into place afterwards.
  const link = ['-Wl,-rpath,$ORIGIN/../../deps/lib', '-o', join(output, 'tfjs_binding.node')];
  await runCommand('c++', [...args, ...includes, ...sources, ...libraries, ...link], log);
}
