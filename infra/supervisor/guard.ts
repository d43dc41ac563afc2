import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { entryPoint, openLog } from './launch-node.ts';
import type { ProcessIdentity } from './process-identity.ts';

/** The supervisor's line to its guardian process. */
export interface Guard {
  pid: number;
  /** Who must not outlive the supervisor. */
  protect(processes: ProcessIdentity[]): void;
  /** Ends the guardian, which then stops nobody. */
  dismiss(): Promise<void>;
}

/** Starts the guardian process; see guardian.ts. */
export function startGuard(logPath: string): Guard {
  const log = openLog(logPath);
  const child = spawn(process.execPath, [entryPoint('infra/supervisor/guardian')], {
    detached: true,
    stdio: ['pipe', log, log],
  });
  closeSync(log);
  const input = child.stdin;
  if (input === null) throw new Error('The guardian was spawned with a pipe.');
  // A guardian that was killed is missed only when the supervisor is killed too; the next start cleans up then.
  input.on('error', () => undefined);
  child.on('error', () => undefined);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const protect = (processes: ProcessIdentity[]): void => {
    if (child.exitCode === null && child.signalCode === null) input.write(`${JSON.stringify(processes)}\n`);
  };
  return {
    pid: child.pid ?? 0,
    protect,
    async dismiss() {
      protect([]);
      input.end();
      await exited;
    },
  };
}
