import { afterEach, describe, expect, it } from 'vitest';
import type { LookalikeError } from '../../../contracts/errors.ts';
import type { ThreadRequest } from '../../../infra/inference/protocol.ts';
import type { PoolAnswer } from '../../../infra/inference/thread-pool.ts';
import { ThreadPool } from '../../../infra/inference/thread-pool.ts';

const gate = new Int32Array(new SharedArrayBuffer(4));
let pool: ThreadPool;
let crashes: string[];

function open(numThreads: number, entry = './crashing-thread.ts'): ThreadPool {
  crashes = [];
  gate[0] = 0;
  pool = new ThreadPool({
    entry: new URL(entry, import.meta.url),
    numThreads,
    workerData: { survivors: new Int32Array(new SharedArrayBuffer(4)), gate },
    onCrash: (error) => crashes.push(error.message),
  });
  return pool;
}
function openGate(): void {
  Atomics.store(gate, 0, 1);
  Atomics.notify(gate, 0);
}
afterEach(async () => {
  openGate();
  await pool.close();
});

const request = (byte: number): ThreadRequest => ({
  kind: 'embed',
  model: {
    backbone: '',
    head: null,
    featureDim: 1,
    dim: 1,
    preprocessing: { resizeShorterSide: 8, size: 8, mean: [0, 0, 0], std: [1, 1, 1], background: [0, 0, 0] },
  },
  image: Uint8Array.of(byte),
  seeds: [null],
});
const byteOf = ({ answer }: PoolAnswer): number | string =>
  answer.kind === 'embedded' ? answer.answer.vectors[0]![0]! : answer.kind;

describe('ThreadPool', () => {
  it('tries the work of a dead thread once more on a new one, beside its neighbours', async () => {
    open(2);
    const answers = await Promise.all([1, 42, 2, 3].map((byte) => pool.run(request(byte), 'batch')));
    expect(answers.map(byteOf)).toEqual([1, 42, 2, 3]);
    expect(crashes).toHaveLength(1);
  });

  it('rejects what kills a thread twice and blames no neighbour', async () => {
    open(1);
    const answers = await Promise.all([1, 13, 2, 3].map((byte) => pool.run(request(byte), 'batch')));
    expect(answers.map(byteOf)).toEqual([1, 'rejected', 2, 3]);
    expect(crashes).toHaveLength(2);
  });

  it.each([
    ['throws while it loads', './unloadable-thread.ts', 'unavailable'],
    ['lacks a module', './absent-thread.ts', 'missingDependency'],
  ])('fails every call, blaming no picture, when its thread %s', async (_, entry, code) => {
    open(2, entry);
    const calls = await Promise.allSettled(Array.from({ length: 12 }, () => pool.run(request(1), 'batch')));
    expect(
      calls.map((call) => (call.status === 'rejected' ? (call.reason as LookalikeError).code : 'answered')),
    ).toEqual(calls.map(() => code));
    // Every call tries anew: what was missing may be there by then.
    const before = crashes.length;
    await expect(pool.run(request(1), 'online')).rejects.toMatchObject({ code });
    expect(crashes.length).toBeGreaterThan(before);
  });

  it('fails the call when threads crash that never computed anything, and blames the picture once they did', async () => {
    open(1);
    await expect(pool.run(request(13), 'batch')).rejects.toMatchObject({ code: 'unavailable' });
    expect(byteOf(await pool.run(request(1), 'batch'))).toBe(1);
    expect(byteOf(await pool.run(request(13), 'batch'))).toBe('rejected');
  });

  it('starts online work before batch work that was queued earlier', async () => {
    open(1);
    const order: string[] = [];
    const track = (name: string, run: Promise<unknown>): Promise<void> => run.then(() => void order.push(name));
    const busy = [99, 0, 0].map((byte, i) => track(`busy${i}`, pool.run(request(byte), 'batch')));
    const batch = track('batch', pool.run(request(0), 'batch'));
    const online = track('online', pool.run(request(0), 'online'));
    openGate();
    await Promise.all([...busy, batch, online]);
    expect(order.indexOf('online')).toBeLessThan(order.indexOf('batch'));
  });

  it('drops queued work when its signal aborts, and finishes what was started', async () => {
    open(1);
    const abort = new AbortController();
    const started = [99, 1, 2].map((byte) => pool.run(request(byte), 'batch', abort.signal));
    const queued = pool.run(request(5), 'batch', abort.signal);
    abort.abort();
    await expect(queued).rejects.toMatchObject({ code: 'cancelled' });
    openGate();
    expect((await Promise.all(started)).map(byteOf)).toEqual([99, 1, 2]);
    await expect(pool.run(request(5), 'batch', abort.signal)).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('waits for what is in flight when it closes, and takes nothing afterwards', async () => {
    open(1);
    const started = pool.run(request(99), 'batch');
    const closing = pool.close();
    openGate();
    expect(byteOf(await started)).toBe(99);
    await closing;
    await expect(pool.run(request(1), 'batch')).rejects.toMatchObject({ code: 'unavailable' });
  });
});
