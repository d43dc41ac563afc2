import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';

/** Source and build differ in the extension only. */
const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/** For clients, workers, the workflow bundle and replay alike. */
export const dataConverter = {
  payloadConverterPath: fileURLToPath(new URL(`./payload-converter${extension}`, import.meta.url)),
} satisfies DataConverter;
