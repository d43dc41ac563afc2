import { LookalikeError } from '../../contracts/errors.ts';

/** One frame of what provisioning does now: a progress bar, a log line or nothing may come of it. */
export interface ProvisionEvent {
  /** What is being provided: `temporal`, `weights`, `tensorflow` or `tensorflow-gpu`. */
  what: string;
  phase: 'check' | 'download' | 'build' | 'unpack' | 'done' | 'reused';
  /** One short line for people. */
  detail: string;
  /** Share done of this phase, 0..1; null where nobody can know. */
  fraction: number | null;
}

export type ProvisionReport = (event: ProvisionEvent) => void;

export interface ProvisionOptions {
  /** Stops the work and kills its child processes; nothing half-made stays where it would be found. */
  signal?: AbortSignal;
  /** The environment of child processes, `PATH` above all. Default: this process's. */
  env?: NodeJS.ProcessEnv;
}

/** @throws LookalikeError `cancelled` once the signal is aborted */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) {
    throw new LookalikeError('cancelled', 'Provisioning was cancelled.', {}, { cause: signal.reason });
  }
}
