import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';

/**
 * From now on the kernel lets the process allocate at most `moreBytes` beyond what it holds: an allocation past that fails, and the
 * process ends. Counted is what it may write and shares with nobody (RLIMIT_DATA), touched or not, whoever in it asks.
 * @throws LookalikeError `missingDependency` where there is no such limit (other systems than Linux)
 */
export async function limitMemory(pid: number, moreBytes: number): Promise<void> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const heldBytes = 1024 * Number(/^VmData:\s+(\d+) kB$/m.exec(status)![1]);
    await promisify(execFile)('prlimit', ['--pid', String(pid), `--data=${heldBytes + moreBytes}`]);
  } catch (error) {
    throw new LookalikeError(
      'missingDependency',
      `Expected to limit the memory of a process by prlimit (util-linux, Linux only): ${errorMessage(error)}`,
    );
  }
}
