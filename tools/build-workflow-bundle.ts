import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';
import { dataConverter } from '../infra/temporal/data-converter.ts';
import { bundlePath, workflowsPath } from '../infra/temporal/workflow-code.ts';

/** Writes `dist/workflow-bundle.js`, which workers load instead of bundling at every start. */
const { code } = await bundleWorkflowCode({ workflowsPath, ...dataConverter });
await mkdir(dirname(bundlePath), { recursive: true });
await writeFile(bundlePath, code);
console.error(`${bundlePath}: ${code.length} bytes`);
