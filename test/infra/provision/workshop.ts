import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { ProvisionEvent } from '../../../infra/provision/progress.ts';

/** A temporary cache, a folder of fake commands in front of PATH, and the events that were reported. */
export function workshop() {
  const root = mkdtempSync(join(tmpdir(), 'lookalike-provision-'));
  const bin = join(root, 'bin');
  const config = { cacheDir: join(root, 'cache') };
  mkdirSync(bin);
  mkdirSync(config.cacheDir);
  const events: ProvisionEvent[] = [];
  return {
    root,
    config,
    events,
    report: (event: ProvisionEvent) => void events.push(event),
    /** Only fakes and the system's basic tools, and no way out to the network. */
    env: { PATH: [bin, '/usr/bin', '/bin'].join(delimiter), HTTPS_PROXY: 'http://127.0.0.1:1', HOME: root },
    /** A shell script of that name, first on PATH or in another folder. */
    command(name: string, script: string, folder = bin): string {
      mkdirSync(folder, { recursive: true });
      const path = join(folder, name);
      writeFileSync(path, `#!/bin/sh\n${script}\n`);
      chmodSync(path, 0o755);
      return path;
    },
    phases: () => events.map(({ phase }) => phase),
    /** Unfinished work that was left behind. */
    leftovers: () =>
      existsSync(join(config.cacheDir, 'partial')) ? readdirSync(join(config.cacheDir, 'partial')) : [],
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** A zip archive of uncompressed files. */
export function zipOf(files: Record<string, string>): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let offset = 0;
  for (const [file, text] of Object.entries(files)) {
    const name = Buffer.from(file);
    const body = Buffer.from(text);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(body), 10);
    common.writeUInt32LE(body.length, 14);
    common.writeUInt32LE(body.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, name, body]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    centrals.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, rest, name]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(centrals);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(centrals.length, 4);
  end.writeUInt16LE(centrals.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...locals, directory, Buffer.from('PK\x05\x06', 'latin1'), end]);
}
