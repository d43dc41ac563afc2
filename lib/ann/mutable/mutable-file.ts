import type { AnnIndex, AnnMachine } from '../../../contracts/ann.ts';
import { errorMessage, LookalikeError } from '../../../contracts/errors.ts';
import { createBitmap, hasBit } from '../bitmap.ts';
import { decodeIndexFile, encodeIndexFile } from '../index-file.ts';
import { loadIndex } from '../index.ts';
import { checkId, firstDisorder } from './ids.ts';

/** What a mutable index is made of, read from its file or about to be written. */
export interface MutableParts {
  base: AnnIndex;
  /** Of the base's rows, ascending. */
  baseIds: readonly string[];
  /** Bit i: row i of the base is live. */
  baseLive: Uint32Array;
  /** Live rows of the append segment, by ascending id. */
  segmentIds: readonly string[];
  /** f32 [segmentIds.length, dim], as the metric compares them. */
  segmentVectors: Float32Array;
}

/**
 * The parts of an index file whose sections are the base's own file, its ids and which of them live, and the segment. What was
 * live when it was called is written, whatever changes meanwhile.
 */
export async function encodeMutable(parts: MutableParts): Promise<Uint8Array[]> {
  const { base, baseIds, baseLive, segmentIds, segmentVectors } = parts;
  return encodeIndexFile(base, {
    base: joined(await base.serialise()),
    baseIds: json(baseIds),
    baseLive: bytesOf(baseLive),
    segmentIds: json(segmentIds),
    segmentVectors: bytesOf(segmentVectors),
  });
}

/** @throws LookalikeError `corruptArtifact` when bytes are damaged, missing or contradict one another */
export async function decodeMutable(file: Uint8Array, machine: AnnMachine = {}): Promise<MutableParts> {
  const { section, dim, size } = await decodeIndexFile(file, () => undefined);
  const base = await loadIndex(section('base'), machine);
  if (base.dim !== dim || base.size !== size) {
    throw corrupt(`a base of ${size} x ${dim}, got ${base.size} x ${base.dim}`);
  }
  const baseIds = readIds(section('baseIds'), 'the base');
  if (baseIds.length !== size) throw corrupt(`${size} ids of the base, got ${baseIds.length}`);
  const baseLive = readBitmap(section('baseLive'), size);
  const segmentIds = readIds(section('segmentIds'), 'the segment');
  const segmentVectors = readVectors(section('segmentVectors'), segmentIds.length, dim);
  const added = new Set(segmentIds);
  const twice = baseIds.find((id, row) => added.has(id) && hasBit(baseLive, row));
  if (twice !== undefined) throw corrupt(`each id to live once, and "${twice}" lives in the base and in the segment`);
  return { base, baseIds, baseLive, segmentIds, segmentVectors };
}

function readIds(bytes: Uint8Array, owner: string): string[] {
  let ids: unknown;
  try {
    ids = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
    if (!Array.isArray(ids)) throw new Error('it is no list');
    ids.forEach(checkId);
  } catch (error) {
    throw corrupt(`a list of the ids of ${owner}: ${errorMessage(error)}`);
  }
  const disorder = firstDisorder(ids as string[]);
  if (disorder !== undefined) throw corrupt(`ascending ids of ${owner}, and position ${disorder} breaks the order`);
  return ids as string[];
}

function readBitmap(bytes: Uint8Array, numRows: number): Uint32Array {
  const bitmap = createBitmap(numRows);
  if (bytes.length !== bitmap.byteLength) throw corrupt(`a bit for each of ${numRows} rows, got ${bytes.length} bytes`);
  new Uint8Array(bitmap.buffer).set(bytes);
  const rest = numRows & 31;
  if (rest > 0 && bitmap.at(-1)! >>> rest !== 0) throw corrupt(`no bits beyond ${numRows} rows, and there are some`);
  return bitmap;
}

function readVectors(bytes: Uint8Array, count: number, dim: number): Float32Array {
  if (bytes.length !== count * dim * 4)
    throw corrupt(`${count} x ${dim} vectors in the segment, got ${bytes.length} bytes`);
  const vectors = new Float32Array(count * dim);
  new Uint8Array(vectors.buffer).set(bytes);
  const bad = vectors.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw corrupt(`finite numbers in the segment, got ${vectors[bad]} at position ${bad}`);
  return vectors;
}

/** One piece, so that the loader can hand it on as it lies in the file. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const bytesOf = (view: ArrayBufferView): Uint8Array => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

function corrupt(expected: string): LookalikeError {
  return new LookalikeError('corruptArtifact', `Expected of the mutable index file ${expected}.`);
}
