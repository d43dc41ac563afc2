import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** Where Debian keeps the server's programs, newest version first, then PATH. */
const FOLDERS = [
  ...(existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : [])
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join('/usr/lib/postgresql', version, 'bin')),
  ...(process.env['PATH'] ?? '').split(':'),
];

/** The folder of PostgreSQL's server programs, if this machine has them (Debian: `apt-get install postgresql`). */
export const POSTGRES_BIN = FOLDERS.find((folder) => existsSync(join(folder, 'initdb')));

export interface TestPostgres {
  /** A fresh, empty database. */
  createDatabase(): Promise<string>;
  stop(): Promise<void>;
}

/** A throw-away cluster on a Unix socket. Its default order is English, so order by bytes must be asked for to be had. */
export async function startPostgres(): Promise<TestPostgres> {
  const bin = POSTGRES_BIN ?? '';
  const folder = mkdtempSync(join(tmpdir(), 'lookalike-pg-'));
  const user = unprivilegedUser();
  if (user) chownSync(folder, user.uid, user.gid);
  chmodSync(folder, 0o700);
  const data = join(folder, 'data');
  const locale = ['--encoding=UTF8', '--locale=C.UTF-8', '--locale-provider=icu', '--icu-locale=en-US'];
  const init = spawnSync(join(bin, 'initdb'), ['-D', data, '-U', 'test', '-A', 'trust', '--no-sync', ...locale], {
    ...user,
    cwd: folder,
    encoding: 'utf8',
  });
  if (init.status !== 0) throw new Error(`initdb failed: ${init.stderr}`);
  const settings = ['listen_addresses=', `unix_socket_directories=${folder}`, 'fsync=off', 'max_connections=50'];
  const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
  const server = spawn(join(bin, 'postgres'), args, { ...user, cwd: folder, stdio: 'ignore' });
  const urlOf = (database: string): string => `postgres://test@localhost/${database}?host=${folder}`;
  const admin = async (statement: string): Promise<void> => {
    const client = new pg.Client({ connectionString: urlOf('postgres') });
    await client.connect();
    await client.query(statement).finally(() => client.end());
  };
  for (;;) {
    if (server.exitCode !== null) throw new Error(`postgres ended with ${server.exitCode}.`);
    if (
      await admin('select 1').then(
        () => true,
        () => false,
      )
    )
      break;
    await sleep(20);
  }
  let numDatabases = 0;
  return {
    async createDatabase() {
      const name = `test${numDatabases++}`;
      await admin(`create database ${name}`);
      return urlOf(name);
    },
    async stop() {
      server.kill('SIGINT');
      if (server.exitCode === null) await once(server, 'exit');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL refuses to run as root. */
function unprivilegedUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const fields = readFileSync('/etc/passwd', 'utf8').match(/^postgres:[^:]*:(\d+):(\d+):/m);
  return { uid: Number(fields?.[1] ?? 65_534), gid: Number(fields?.[2] ?? 65_534) };
}
