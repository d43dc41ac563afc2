import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as Tf from '@tensorflow/tfjs';
import type { Config } from '../config/env.ts';

export type TfjsNodeVariant = 'cpu' | 'gpu';

export const TFJS_NODE_VERSION = '4.22.0';

/** Written last into a finished folder; says what is in it. */
export const MARKER = 'provisioned.json';

/** The npm package of a variant. */
export function tfjsNodePackage(variant: TfjsNodeVariant): string {
  return variant === 'cpu' ? '@tensorflow/tfjs-node' : '@tensorflow/tfjs-node-gpu';
}

/** The folder in the cache that holds, or will hold, a variant with its own `node_modules`. */
export function tfjsNodeFolder(config: Pick<Config, 'cacheDir'>, variant: TfjsNodeVariant): string {
  return join(config.cacheDir, `tfjs-node-${TFJS_NODE_VERSION}-${variant}`);
}

/** Whether a variant is completely there. */
export function hasTfjsNode(config: Pick<Config, 'cacheDir'>, variant: TfjsNodeVariant): boolean {
  return existsSync(join(tfjsNodeFolder(config, variant), MARKER));
}

/**
 * Loads a variant from its folder; the native library comes with it. The returned `tf` is that folder's own instance of
 * TensorFlow.js, another than the project's: tensors of the two must not meet.
 * @throws Error when the binding does not load
 */
export function requireTfjsNode(folder: string, variant: TfjsNodeVariant): typeof Tf {
  const require = createRequire(join(folder, 'package.json'));
  // The package still calls these two, which newer Node versions no longer have.
  const util = require('node:util') as Record<string, unknown>;
  util.isNullOrUndefined ??= (value: unknown): boolean => value === null || value === undefined;
  util.isArray ??= Array.isArray;
  return require(tfjsNodePackage(variant)) as typeof Tf;
}
