import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { WorkerOptions } from '@temporalio/worker';

const fromSource = import.meta.url.endsWith('.ts');
const extension = fromSource ? '.ts' : '.js';

/** The workflows' front door: what the bundle is made of. */
export const workflowsPath = fileURLToPath(new URL(`../../workflows/index${extension}`, import.meta.url));

/** Where the build puts the bundle: `dist/workflow-bundle.js`. */
export const bundlePath = fileURLToPath(
  new URL(fromSource ? '../../dist/workflow-bundle.js' : '../../workflow-bundle.js', import.meta.url),
);

/** The prebuilt bundle in a build, the sources otherwise. */
export function workflowCode(): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath'> {
  return !fromSource && existsSync(bundlePath) ? { workflowBundle: { codePath: bundlePath } } : { workflowsPath };
}
