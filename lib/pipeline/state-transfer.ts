import { receiveExpected } from './link.ts';
import type { Link } from './link.ts';

/** Values in one frame: a mebibyte, so that neither end need hold more of a state than its own. */
const CHUNK_LENGTH = 1 << 18;

/** Sends a state to whoever takes it by `receiveState`, one chunk at a time; each is copied, and sent once the one before was taken. */
export async function sendState(link: Link, step: number, values: Float32Array): Promise<void> {
  for (const [microBatch, { start, end }] of chunksOf(values.length).entries()) {
    const shape = [end - start];
    await link.send({ kind: 'state', step, microBatch, shape, values: values.slice(start, end) });
    await receiveExpected(link, { kind: 'state', step, microBatch, shape: [0] });
  }
}

/** @param take is given each chunk, in order, with its place among all values */
export async function receiveState(
  link: Link,
  step: number,
  length: number,
  take: (at: number, values: Float32Array) => Promise<void> | void,
): Promise<void> {
  for (const [microBatch, { start, end }] of chunksOf(length).entries()) {
    await take(start, await receiveExpected(link, { kind: 'state', step, microBatch, shape: [end - start] }));
    await link.send({ kind: 'state', step, microBatch, shape: [0], values: new Float32Array(0) });
  }
}

function chunksOf(length: number): { start: number; end: number }[] {
  return Array.from({ length: Math.ceil(length / CHUNK_LENGTH) }, (_, i) => ({
    start: i * CHUNK_LENGTH,
    end: Math.min(length, (i + 1) * CHUNK_LENGTH),
  }));
}
