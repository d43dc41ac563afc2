import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import type { Logger } from '../log/logger.ts';
import type { ProvisionEvent } from '../provision/report.ts';
import { provisionAll } from '../provision/report.ts';
import { ownsServer } from '../temporal/connection.ts';
import { prepareNamespace } from '../temporal/namespace.ts';
import { startGuard } from './guard.ts';
import type { Guard } from './guard.ts';
import { stopLeftovers } from './leftovers.ts';
import { takeSupervisorLock } from './lock.ts';
import { ManagedProcess } from './managed-process.ts';
import type { ManagedSpec } from './managed-process.ts';
import { guardianLog, nodeSpecs, resolvePorts, temporalAddress, temporalSpec, withClient } from './plan.ts';
import type { WorkerCounts } from './plan.ts';
import { identify } from './process-identity.ts';
import { removeRunState, writeRunState } from './run-state.ts';
import type { ProcessRow, RunState } from './run-state.ts';

/** What a person may want to see while the stack starts and runs. */
export type StackEvent =
  | { type: 'phase'; text: string }
  | { type: 'provision'; event: ProvisionEvent }
  | { type: 'process'; row: ProcessRow; reason: string };

export interface StackOptions {
  config: Config;
  counts: WorkerCounts;
  logger: Logger;
  onEvent: (event: StackEvent) => void;
  /** Gives up starting; what was started is stopped. */
  signal: AbortSignal;
}

/** A running stack, held by this process. */
export interface Stack {
  /** The configuration with the ports that were chosen. */
  config: Config;
  state(): RunState;
  /** API first, then workers, then Temporal. Safe to call twice. */
  stop(): Promise<void>;
  /** Ends everything at once. */
  kill(): void;
}

const API_READY_MS = 90_000;
/** A process that ended this often before the stack was ready will not come up. */
const MAX_EARLY_RESTARTS = 4;

/**
 * Provides what is missing and starts Temporal (unless one is configured), the workers and the API, then keeps them alive.
 * @throws LookalikeError `conflict` (already running, a port is taken) | `missingDependency` | `unavailable` | `cancelled`
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const lock = takeSupervisorLock(options.config);
  try {
    const leftovers = await stopLeftovers(options.config);
    if (leftovers.length > 0) {
      options.onEvent({ type: 'phase', text: `stopped what a killed run had left: ${leftovers.join(', ')}` });
    }
    const config = await resolvePorts(options.config);
    const stack = new SupervisedStack({ ...options, config }, () => lock.release());
    try {
      await stack.start();
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return stack;
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Invariant: `run.json` names every process that runs, and the guardian knows every one of them. */
class SupervisedStack implements Stack {
  readonly config: Config;
  readonly #options: StackOptions;
  readonly #release: () => void;
  readonly #guard: Guard;
  #api: ManagedProcess | null = null;
  #workers: ManagedProcess[] = [];
  #temporal: ManagedProcess | null = null;
  #status: RunState['status'] = 'starting';
  #phase = 'starting';
  #stopped: Promise<void> | null = null;

  constructor(options: StackOptions, release: () => void) {
    this.config = options.config;
    this.#options = options;
    this.#release = release;
    this.#guard = startGuard(guardianLog(options.config));
    this.#write();
  }

  async start(): Promise<void> {
    const { config, logger, onEvent, signal } = this.#options;
    this.#enter('providing what is missing');
    const provided = await provisionAll(config, (event) => onEvent({ type: 'provision', event }), { signal });
    const fresh = provided
      .filter(({ reused }) => !reused)
      .map(({ what, seconds }) => `${what} ${seconds.toFixed(1)} s`);
    if (fresh.length > 0) onEvent({ type: 'phase', text: `provided: ${fresh.join(', ')}` });
    signal.throwIfAborted();
    if (ownsServer(config)) {
      this.#enter('starting Temporal');
      this.#temporal = this.#manage(temporalSpec(config, logger));
      await this.#temporal.start();
      signal.throwIfAborted();
    }
    this.#enter('preparing the Temporal namespace');
    await withClient(config, (client) => prepareNamespace(client, logger));
    signal.throwIfAborted();
    this.#enter('starting workers and the API');
    const specs = nodeSpecs(config, this.#options.counts);
    this.#workers = specs.workers.map((spec) => this.#manage(spec));
    this.#api = this.#manage(specs.api);
    await Promise.all([...this.#workers, this.#api].map((managed) => managed.start()));
    await this.#untilApiAnswers();
    this.#status = 'ready';
    this.#enter('ready');
  }

  state(): RunState {
    const { config } = this.#options;
    const host = config.api.host.includes(':') ? `[${config.api.host}]` : config.api.host;
    const base = `http://${host === '0.0.0.0' ? '127.0.0.1' : host === '[::]' ? '[::1]' : host}:${config.api.port}`;
    const guardian = this.#guard.pid === 0 ? null : (identify(this.#guard.pid) ?? null);
    return {
      formatVersion: 1,
      supervisor: identify(process.pid) ?? { pid: process.pid, startToken: '' },
      status: this.#status,
      phase: this.#phase,
      ports: { api: config.api.port, temporal: config.temporal.port, temporalUi: config.temporal.uiPort },
      temporalAddress: temporalAddress(config),
      urls: { api: base, page: `${base}/`, openapi: `${base}/openapi.json`, temporalUi: config.temporal.uiUrl },
      processes: [
        ...this.#managed().map(({ row }) => row),
        {
          name: 'guardian',
          kind: 'guardian',
          status: guardian === null ? 'stopped' : 'running',
          process: guardian,
          numRestarts: 0,
          log: guardianLog(config),
        },
      ],
    };
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  kill(): void {
    for (const managed of this.#managed()) managed.kill();
  }

  async #stop(): Promise<void> {
    this.#status = 'stopping';
    this.#enter('stopping the API');
    await this.#api?.stop();
    this.#enter('stopping the workers');
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    this.#enter('stopping Temporal');
    await this.#temporal?.stop();
    await this.#guard.dismiss();
    removeRunState(this.config);
    this.#release();
  }

  #managed(): ManagedProcess[] {
    return [this.#temporal, ...this.#workers, this.#api].filter((managed) => managed !== null);
  }

  #manage(spec: ManagedSpec): ManagedProcess {
    return new ManagedProcess(spec, (row, reason) => {
      this.#write();
      this.#options.onEvent({ type: 'process', row, reason });
    });
  }

  #enter(phase: string): void {
    this.#phase = phase;
    this.#write();
    this.#options.onEvent({ type: 'phase', text: phase });
  }

  #write(): void {
    const state = this.state();
    writeRunState(this.config, state);
    const wards = state.processes.filter(({ kind }) => kind !== 'guardian').map((row) => row.process);
    this.#guard.protect(wards.filter((ward) => ward !== null));
  }

  async #untilApiAnswers(): Promise<void> {
    const url = `${this.state().urls.api}/health/live`;
    const deadline = performance.now() + API_READY_MS;
    for (;;) {
      this.#options.signal.throwIfAborted();
      const failing = this.#managed().find(({ row }) => row.numRestarts >= MAX_EARLY_RESTARTS);
      if (failing !== undefined || performance.now() > deadline) {
        const { name, log } = (failing ?? this.#api ?? this.#managed()[0])!.row;
        throw new LookalikeError(
          'unavailable',
          `Expected ${name} to come up, but it ${failing ? 'ends again and again' : 'does not answer'}. The end of ${log}:\n${lastLines(log)}`,
          { name, log },
        );
      }
      const isUp = await request(url, { signal: AbortSignal.timeout(2_000) })
        .then(async ({ statusCode, body }) => {
          await body.dump();
          return statusCode === 200;
        })
        .catch(() => false);
      if (isUp) return;
      await sleep(100);
    }
  }
}

function lastLines(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
  } catch {
    return '(there is no such file)';
  }
}
