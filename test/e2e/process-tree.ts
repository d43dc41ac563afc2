import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** Children of a process by a word of their command line, newest first (Linux). */
export function childrenOf(parent: number, word: string): number[] {
  return processes()
    .filter(({ ppid, command }) => ppid === parent && command.includes(word))
    .map(({ pid }) => pid)
    .sort((a, b) => b - a);
}

/** All processes below one, itself included. */
export function treeOf(root: number): number[] {
  const all = processes();
  const found = [root];
  for (const pid of found) found.push(...all.filter(({ ppid }) => ppid === pid).map((child) => child.pid));
  return found;
}

/** TCP ports on which these processes listen. */
export function listeningPorts(pids: readonly number[]): number[] {
  const inodes = new Set(pids.flatMap(socketsOf));
  const LISTEN = '0A';
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    readFileSync(table, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[3] === LISTEN && inodes.has(columns[9]!))
      .map((columns) => Number.parseInt(columns[1]!.split(':')[1]!, 16)),
  );
}

function processes(): { pid: number; ppid: number; command: string }[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const [, state, ppid] = /^\d+ \(.*\) (\S) (\d+)/s.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? [];
      if (state === 'Z') return [];
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      return [{ pid: Number(name), ppid: Number(ppid), command }];
    } catch {
      // It ended while it was looked at.
      return [];
    }
  });
}

function socketsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}
