import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { RunState } from '../../infra/supervisor/run-state.ts';

const LAUNCHER = resolve(import.meta.dirname, '../../bin/lookalike.js');

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** An installation of its own: data directory, ports and all; only the user's cache of binaries is shared. */
export interface Installation {
  dataDir: string;
  /** Runs the built program as a person would. */
  cli(...args: string[]): Promise<CliResult>;
  /** Runs it with --json, expects success, returns what it printed. */
  json<T>(...args: string[]): Promise<T>;
  state(): Promise<RunState>;
  /** Stops everything and deletes the data directory. */
  dispose(): Promise<void>;
}

/** @param settings environment variables on top: other stores than the files of its data directory */
export function createInstallation(settings: Record<string, string> = {}): Installation {
  if (!existsSync(resolve(import.meta.dirname, '../../dist/cli/main.js'))) {
    throw new Error('Expected the built program in dist/. Run `npm run build` first.');
  }
  const dataDir = mkdtempSync(join(tmpdir(), 'lookalike-e2e-'));
  const env = {
    ...process.env,
    LOOKALIKE_DATA_DIR: dataDir,
    LOOKALIKE_PORT: '0',
    LOOKALIKE_TEMPORAL_PORT: '0',
    LOOKALIKE_TEMPORAL_UI_PORT: '0',
    ...settings,
  };
  const cli = (...args: string[]): Promise<CliResult> => run(args, env);
  const json = async <T>(...args: string[]): Promise<T> => {
    const { code, stdout, stderr } = await cli(...args, '--json');
    if (code !== 0) throw new Error(`lookalike ${args.join(' ')} ended with ${code}:\n${stdout}\n${stderr}`);
    return JSON.parse(stdout) as T;
  };
  return {
    dataDir,
    cli,
    json,
    state: async () => (await json<{ stack: RunState }>('status')).stack,
    async dispose() {
      await cli('down');
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function run(args: string[], env: NodeJS.ProcessEnv): Promise<CliResult> {
  return new Promise((done, reject) => {
    const child = spawn(process.execPath, [LAUNCHER, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.once('error', reject);

    child.once('close', (code) => done({ code, stdout, stderr }));
  });
}
