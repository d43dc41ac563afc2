import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LookalikeError } from '../../contracts/errors.ts';

const FLOAT_BYTES = 4;

/** One of the arrays of float32 that lie end to end in a file. */
export interface StateArray {
  name: string;
  length: number;
}

/** A draft of a state: zero where nothing was written. Gone with its disposal. */
export interface StateDraft extends AsyncDisposable {
  readonly path: string;
  write(array: string, start: number, values: Float32Array): Promise<void>;
}

export async function createStateFile(arrays: readonly StateArray[]): Promise<StateDraft> {
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-checkpoint-'));
  const path = join(folder, 'state');
  const positionOf = positions(arrays);
  try {
    const handle = await open(path, 'w');
    await handle.truncate(FLOAT_BYTES * lengthOf(arrays));
    return {
      path,
      async write(array, start, values) {
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        const at = positionOf(array, start, values.length);
        // What does not fit on the disk is said by the call that could write none of it.
        for (let done = 0; done < bytes.length;) {
          done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
        }
      },
      async [Symbol.asyncDispose]() {
        await handle.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

export interface StateFile extends AsyncDisposable {
  /** Fills `into` with the values from `start` on. @throws LookalikeError `corruptArtifact` */
  read(array: string, start: number, into: Float32Array): Promise<void>;
}

/** @throws LookalikeError `corruptArtifact` when the file does not hold these arrays */
export async function openStateFile(path: string, arrays: readonly StateArray[]): Promise<StateFile> {
  const positionOf = positions(arrays);
  const handle = await open(path);
  const { size } = await handle.stat();
  if (size !== FLOAT_BYTES * lengthOf(arrays)) {
    await handle.close();
    throw new LookalikeError('corruptArtifact', `Expected ${lengthOf(arrays)} values in ${path}, got ${size} bytes.`);
  }
  return {
    async read(array, start, into) {
      const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
      const at = positionOf(array, start, into.length);
      for (let done = 0; done < bytes.length;) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, at + done);
        if (bytesRead === 0)
          throw new LookalikeError('corruptArtifact', `Expected more values of ${array} in ${path}.`);
        done += bytesRead;
      }
    },
    [Symbol.asyncDispose]: () => handle.close(),
  };
}

function positions(arrays: readonly StateArray[]): (array: string, start: number, length: number) => number {
  const offsets = new Map<string, { at: number; length: number }>();
  let at = 0;
  for (const { name, length } of arrays) {
    offsets.set(name, { at, length });
    at += length;
  }
  return (array, start, length) => {
    const found = offsets.get(array);
    if (found === undefined || start + length > found.length) {
      throw new LookalikeError(
        'corruptArtifact',
        `Expected values ${start} to ${start + length} of ${array}, got ${found?.length ?? 'none'}.`,
      );
    }
    return FLOAT_BYTES * (found.at + start);
  };
}

function lengthOf(arrays: readonly StateArray[]): number {
  return arrays.reduce((sum, { length }) => sum + length, 0);
}
