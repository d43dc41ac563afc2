import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LookalikeError, errorMessage, isLookalikeError } from '../../contracts/errors.ts';
import {
  MARKER,
  TFJS_NODE_VERSION,
  hasTfjsNode,
  tfjsNodeFolder,
  tfjsNodePackage,
} from '../compute/tfjs-node-package.ts';
import type { TfjsNodeVariant } from '../compute/tfjs-node-package.ts';
import type { Config } from '../config/env.ts';
import { childEnv } from '../config/env.ts';
import { logFile, withCacheLock, withScratch } from './cache.ts';
import { TENSORFLOW_WHEELS, compileBinding } from './compile-binding.ts';
import { throwIfCancelled } from './progress.ts';
import type { ProvisionOptions, ProvisionReport } from './progress.ts';
import { projectRoot } from './project-root.ts';
import { runCommand } from './run-command.ts';

type CacheConfig = Pick<Config, 'cacheDir'>;

/**
 * The native TensorFlow backend, built once per user into the cache.
 *
 * On Linux x64 libtensorflow comes from a pinned Python wheel and the binding is compiled here: this needs only package
 * registries, gives every machine the same kernels (so equal seeds give equal bytes across a fleet), is the newer
 * library, and the only one whose CUDA still meets current drivers. Elsewhere, or where Python or the compiler lacks,
 * the package's own install script downloads what its makers built.
 * @returns the folder to load it from
 * @throws LookalikeError `missingDependency` neither way worked | `cancelled`
 */
export async function provisionTensorflow(
  config: CacheConfig,
  report: ProvisionReport,
  variant: TfjsNodeVariant,
  options: ProvisionOptions = {},
): Promise<string> {
  const what = nameOf(variant);
  const folder = tfjsNodeFolder(config, variant);
  report({ what, phase: 'check', detail: folder, fraction: null });
  const waiting = (): void =>
    report({ what, phase: 'check', detail: 'another process builds it; waiting', fraction: null });
  const provide = async (): Promise<string> => {
    if (hasTfjsNode(config, variant)) {
      report({ what, phase: 'reused', detail: await describe(folder), fraction: 1 });
      return folder;
    }
    await withScratch(config, what, (scratch) => build(config, variant, scratch, report, options));
    report({ what, phase: 'done', detail: await describe(folder), fraction: 1 });
    return folder;
  };
  return withCacheLock(config, what, options.signal, provide, waiting);
}

/** How events, logs and locks call this work. */
function nameOf(variant: TfjsNodeVariant): string {
  return variant === 'cpu' ? 'tensorflow' : 'tensorflow-gpu';
}

async function describe(folder: string): Promise<string> {
  const marker = JSON.parse(await readFile(join(folder, MARKER), 'utf8')) as { library: string };
  return `tfjs-node ${TFJS_NODE_VERSION} on ${marker.library}`;
}

async function build(
  config: CacheConfig,
  variant: TfjsNodeVariant,
  scratch: string,
  report: ProvisionReport,
  options: ProvisionOptions,
): Promise<void> {
  const what = nameOf(variant);
  const root = join(scratch, 'root');
  const tfjsNode = join(root, 'node_modules', ...tfjsNodePackage(variant).split('/'));
  const reasons: string[] = [];
  for (const way of waysFor(variant)) {
    try {
      await rm(root, { recursive: true, force: true });
      await installPackage(config, variant, root, report, options);
      await way.provide({ config, variant, root, tfjsNode, scratch, report, options });
      await runCommand(process.execPath, [verifier(), root, variant], {
        logFile: logFile(config, what),
        env: childEnv({ TF_CPP_MIN_LOG_LEVEL: '2' }),
        signal: options.signal,
        timeoutMs: 120_000,
      });
      await writeFile(join(root, MARKER), `${JSON.stringify({ library: way.library, node: process.version })}\n`);
      const folder = tfjsNodeFolder(config, variant);
      await mkdir(dirname(folder), { recursive: true });
      // A folder without its marker is an unfinished one of another making.
      await rm(folder, { recursive: true, force: true });
      await rename(root, folder);
      return;
    } catch (error) {
      throwIfCancelled(options.signal);
      if (isLookalikeError(error) && error.code === 'cancelled') throw error;
      reasons.push(`${way.library}: ${errorMessage(error)}`);
    }
  }
  throw new LookalikeError(
    'missingDependency',
    `Expected to provide the native TensorFlow backend, could not. Install Python 3 with pip and a C++ compiler, see ` +
      `that they reach a package index, and run \`lookalike doctor\`. ${reasons.join('\n')}`,
    { log: logFile(config, what) },
  );
}

interface Way {
  library: string;
  provide(work: {
    config: CacheConfig;
    variant: TfjsNodeVariant;
    root: string;
    tfjsNode: string;
    scratch: string;
    report: ProvisionReport;
    options: ProvisionOptions;
  }): Promise<void>;
}

function waysFor(variant: TfjsNodeVariant): Way[] {
  const what = nameOf(variant);
  const fromWheel: Way = {
    library: `libtensorflow of ${TENSORFLOW_WHEELS[variant].requirement}`,
    provide: ({ config, root, tfjsNode, scratch, report, options }) =>
      compileBinding(config, { what, variant, root, tfjsNode, scratch }, report, options),
  };
  const prebuilt: Way = {
    library: "the package's own download",
    provide: async ({ config, root, report, options }) => {
      report({ what, phase: 'download', detail: 'the prebuilt binding and libtensorflow', fraction: null });
      await runCommand('npm', ['rebuild', '--no-ignore-scripts', '--foreground-scripts', tfjsNodePackage(variant)], {
        logFile: logFile(config, what),
        cwd: root,
        signal: options.signal,
        env: options.env,
        timeoutMs: 15 * 60_000,
      });
    },
  };
  return process.platform === 'linux' && process.arch === 'x64' ? [fromWheel, prebuilt] : [prebuilt];
}

/** Installs the pinned package with its lock file, without running its install script. */
async function installPackage(
  config: CacheConfig,
  variant: TfjsNodeVariant,
  root: string,
  report: ProvisionReport,
  options: ProvisionOptions,
): Promise<void> {
  const what = nameOf(variant);
  const pins = join(projectRoot(), 'infra', 'provision', variant === 'cpu' ? 'tfjs-node' : 'tfjs-node-gpu');
  await mkdir(root, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) await copyFile(join(pins, file), join(root, file));
  report({
    what,
    phase: 'download',
    detail: `${tfjsNodePackage(variant)} ${TFJS_NODE_VERSION} with npm`,
    fraction: null,
  });
  await runCommand('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--global=false'], {
    logFile: logFile(config, what),
    cwd: root,
    env: options.env,
    signal: options.signal,
  });
}

/** The verifier beside this file: `.ts` from the sources, `.js` from the build. */
function verifier(): string {
  const self = fileURLToPath(import.meta.url);
  return join(dirname(self), `verify-tfjs-node${extname(self)}`);
}
