import { createHash } from 'node:crypto';
import type { IndexSpec } from '../../contracts/ann.ts';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';

/*
 * Layout, little-endian:
 *   0  magic, 8 bytes    8  u32 version    12  u32 header length    16  SHA-256 of the header, 32 bytes
 *  48  header: JSON {spec, dim, size, totalBytes, sections: [{name, offset, length, sha256}]}
 * then the sections, each starting at a multiple of 64 so that vectors are usable in place.
 */
const MAGIC = 'LKLKANN1';
/** Part of what names a shard: files of another version are built anew instead of found. */
export const INDEX_FILE_VERSION = 2;
const PREFIX_BYTES = 48;
const ALIGNMENT = 64;
/** Hashing pauses this often, so that queries served by the same thread wait a few milliseconds at most. */
const HASH_BYTES = 4 << 20;

interface Section {
  name: string;
  offset: number;
  length: number;
  sha256: string;
}
interface Header {
  spec: IndexSpec;
  dim: number;
  size: number;
  totalBytes: number;
  sections: Section[];
}

/** The file's parts, in order: joined they are the file. */
export async function encodeIndexFile(
  { spec, dim, size }: Pick<Header, 'spec' | 'dim' | 'size'>,
  contents: Record<string, Uint8Array>,
): Promise<Uint8Array[]> {
  const named = Object.entries(contents);
  const hashes: string[] = [];
  for (const [, bytes] of named) hashes.push(await sha256(bytes));
  // Offsets stand in the header whose length decides them: numbers are padded to a fixed width, so one pass is enough.
  const headerBytes = Buffer.byteLength(JSON.stringify(layout(0)));
  const header = Buffer.from(JSON.stringify(layout(headerBytes)).padEnd(headerBytes));

  function layout(
    length: number,
  ): Omit<Header, 'totalBytes' | 'sections'> & { totalBytes: string; sections: object[] } {
    let offset = align(PREFIX_BYTES + length);
    const sections = named.map(([name, bytes], i) => {
      const section = { name, offset: fixed(offset), length: fixed(bytes.length), sha256: hashes[i]! };
      offset = align(offset + bytes.length);
      return section;
    });
    return { spec, dim, size, totalBytes: fixed(offset), sections };
  }

  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.write(MAGIC, 0, 'latin1');
  prefix.writeUInt32LE(INDEX_FILE_VERSION, 8);
  prefix.writeUInt32LE(header.length, 12);
  createHash('sha256').update(header).digest().copy(prefix, 16);
  const parts: Uint8Array[] = [prefix, header, padding(PREFIX_BYTES + header.length)];
  for (const [, bytes] of named) parts.push(bytes, padding(bytes.length));
  return parts.filter((part) => part.length > 0);
}

/**
 * Checks every byte and hands out the sections as views of `file`.
 * @throws LookalikeError `corruptArtifact`
 */
export async function decodeIndexFile(
  file: Uint8Array,
  checkSpec: (spec: IndexSpec, dim: number) => void,
): Promise<Pick<Header, 'spec' | 'dim' | 'size'> & { section: (name: string) => Uint8Array }> {
  const header = readHeader(file, checkSpec);
  const views = new Map<string, Uint8Array>();
  for (const { name, offset, length, sha256: expected } of header.sections) {
    const view = file.subarray(offset, offset + length);
    if ((await sha256(view)) !== expected) throw corrupt(`section "${name}" to match its checksum, and it does not`);
    views.set(name, view);
  }
  return {
    ...header,
    section(name) {
      const view = views.get(name);
      if (view === undefined) throw corrupt(`a section "${name}", got ${[...views.keys()].join(', ')}`);
      return view;
    },
  };
}

function readHeader(file: Uint8Array, checkSpec: (spec: IndexSpec, dim: number) => void): Header {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  if (bytes.length < PREFIX_BYTES) throw corrupt(`at least ${PREFIX_BYTES} bytes, got ${bytes.length}`);
  if (bytes.toString('latin1', 0, 8) !== MAGIC) throw corrupt(`it to start with ${MAGIC}, and it does not`);
  const version = bytes.readUInt32LE(8);
  if (version !== INDEX_FILE_VERSION)
    throw corrupt(`format version ${INDEX_FILE_VERSION}, got ${version}; rebuild the index`);
  const end = PREFIX_BYTES + bytes.readUInt32LE(12);
  const text = bytes.subarray(PREFIX_BYTES, end);
  if (bytes.length < end || !createHash('sha256').update(text).digest().equals(bytes.subarray(16, 48))) {
    throw corrupt('the header to match its checksum, and it does not');
  }
  try {
    const raw = JSON.parse(text.toString()) as Header;
    checkSpec(raw.spec, raw.dim);
    if (!isCount(raw.dim) || raw.dim === 0 || !isCount(raw.size)) {
      throw corrupt(`a number of rows and of dimensions, got ${raw.size} x ${raw.dim}`);
    }
    const sections = raw.sections.map((s) => ({ ...s, offset: Number(s.offset), length: Number(s.length) }));
    const totalBytes = Number(raw.totalBytes);
    if (bytes.length !== totalBytes) throw corrupt(`${totalBytes} bytes, got ${bytes.length}`);
    checkLayout(bytes, end, sections);
    return { ...raw, totalBytes, sections };
  } catch (error) {
    if (error instanceof LookalikeError && error.code === 'corruptArtifact') throw error;
    throw corrupt(`a readable header: ${errorMessage(error)}`);
  }
}

/** Sections follow each other with nothing but zeros between: so checksums of sections and header cover all that there is. */
function checkLayout(bytes: Uint8Array, headerEnd: number, sections: readonly Section[]): void {
  let end = headerEnd;
  for (const { name, offset, length } of sections) {
    if (offset !== align(end) || !isCount(length)) throw corrupt(`section "${name}" behind the one before it`);
    checkZeros(bytes.subarray(end, offset));
    end = offset + length;
  }
  if (bytes.length !== align(end)) throw corrupt(`its sections to take ${align(end)} bytes, got ${bytes.length}`);
  checkZeros(bytes.subarray(end));
}

function checkZeros(padding: Uint8Array): void {
  if (padding.some((byte) => byte !== 0)) throw corrupt('zeros between its sections, and other bytes are there');
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let start = 0; start < bytes.length; start += HASH_BYTES) {
    hash.update(bytes.subarray(start, start + HASH_BYTES));
    if (start + HASH_BYTES < bytes.length) await new Promise((resume) => setImmediate(resume));
  }
  return hash.digest('hex');
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const align = (offset: number): number => Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
const padding = (length: number): Uint8Array => new Uint8Array(align(length) - length);
const fixed = (value: number): string => String(value).padStart(16, '0');

function corrupt(expected: string): LookalikeError {
  return new LookalikeError('corruptArtifact', `Expected of the index file ${expected}.`);
}
