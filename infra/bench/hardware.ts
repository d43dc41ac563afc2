import { availableParallelism, cpus, totalmem } from 'node:os';
import { CODE_VERSION } from '../artifacts/code-version.ts';

/** Where figures come from: they mean nothing without. */
export interface Hardware {
  cpu: string;
  cores: number;
  memoryBytes: number;
  node: string;
  platform: string;
  lookalike: string;
}

export function hardware(): Hardware {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    lookalike: CODE_VERSION,
  };
}
