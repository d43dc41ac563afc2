import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage } from '../../contracts/errors.ts';
import type { ProcessIdentity } from './process-identity.ts';
import { identify, signalProcess, stopProcess } from './process-identity.ts';
import type { ProcessRow } from './run-state.ts';

/** A process that has just been started. */
export interface LaunchedProcess {
  pid: number;
  /** Resolves with how it ended, for people: `exit code 1`, `signal SIGKILL`. Never rejects. */
  exited: Promise<string>;
}

export interface ManagedSpec {
  name: string;
  kind: ProcessRow['kind'];
  log: string;
  /** How long it may take to end after SIGTERM. */
  graceMs: number;
  /** @param onSpawn to be told the process at once by a launch that goes on to wait until it is ready */
  launch(onSpawn: (pid: number) => void): Promise<LaunchedProcess>;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
/** A process that ran this long starts over with the shortest pause. */
const STABLE_AFTER_MS = 30_000;

/** One process of the stack, kept alive. Invariant: at most one process of this name runs at a time. */
export class ManagedProcess {
  readonly spec: ManagedSpec;
  readonly #onChange: (row: ProcessRow, reason: string) => void;
  readonly #stop = new AbortController();
  #identity: ProcessIdentity | null = null;
  #status: ProcessRow['status'] = 'starting';
  #numRestarts = 0;
  #keeper: Promise<void> = Promise.resolve();

  constructor(spec: ManagedSpec, onChange: (row: ProcessRow, reason: string) => void) {
    this.spec = spec;
    this.#onChange = onChange;
  }

  get row(): ProcessRow {
    const { name, kind, log } = this.spec;
    return { name, kind, log, status: this.#status, process: this.#identity, numRestarts: this.#numRestarts };
  }

  /** Starts it and keeps it running until `stop`. @throws what the first launch throws */
  async start(): Promise<void> {
    const launched = this.#launch();
    // Kept from here on, so that a stop in between waits for the launch.
    this.#keeper = launched.then(
      ({ exited }) => this.#keepAlive(exited),
      () => undefined,
    );
    await launched;
  }

  /** Ends it: asks first, uses force after the grace time. */
  async stop(): Promise<void> {
    this.#stop.abort();
    const identity = this.#identity;
    if (identity !== null) {
      this.#change('stopping', 'asked to stop');
      await stopProcess(identity, this.spec.graceMs);
    }
    await this.#keeper;
    this.#change('stopped', 'stopped');
  }

  /** Ends it at once. */
  kill(): void {
    this.#stop.abort();
    if (this.#identity !== null) signalProcess(this.#identity, 'SIGKILL');
  }

  async #launch(): Promise<LaunchedProcess> {
    const launched = await this.spec.launch((pid) => this.#spawned(pid));
    this.#identity = identify(launched.pid) ?? null;
    this.#change('running', `process ${launched.pid}`);
    // Asked to stop during the launch, when there was nothing to signal yet.
    if (this.#stop.signal.aborted && this.#identity !== null) await stopProcess(this.#identity, this.spec.graceMs);
    return launched;
  }

  /** Known to whoever cleans up after a killed supervisor before the process is ready. */
  #spawned(pid: number): void {
    this.#identity = identify(pid) ?? null;
    this.#change('starting', `process ${pid}, not ready yet`);
    if (this.#stop.signal.aborted && this.#identity !== null) signalProcess(this.#identity, 'SIGTERM');
  }

  async #keepAlive(first: Promise<string>): Promise<void> {
    let exited: Promise<string> | undefined = first;
    let pauseMs = FIRST_PAUSE_MS;
    while (!this.#stop.signal.aborted) {
      const startedAt = performance.now();
      let reason: string;
      try {
        reason = await (exited ?? (await this.#launch()).exited);
      } catch (error) {
        reason = errorMessage(error);
      }
      exited = undefined;
      // Whatever it had started in its own process group goes with it, else two trainings could run at once.
      if (this.#identity !== null) killGroup(this.#identity.pid);
      this.#identity = null;
      if (this.#stop.signal.aborted) return;
      if (performance.now() - startedAt > STABLE_AFTER_MS) pauseMs = FIRST_PAUSE_MS;
      this.#change('waiting', `ended with ${reason}; starts again in ${pauseMs / 1000} s`);
      await sleep(pauseMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      this.#numRestarts++;
    }
  }

  #change(status: ProcessRow['status'], reason: string): void {
    this.#status = status;
    this.#onChange(this.row, reason);
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // No process of the group is left: the usual case.
  }
}
