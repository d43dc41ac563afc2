import { createReadStream } from 'node:fs';

/** One line without its line end, as bytes: what they mean is for the reader of the format to say. */
export interface Line {
  /** 1-based. */
  number: number;
  /** Undefined when the line is longer than allowed; its bytes were skipped. */
  bytes: Buffer | undefined;
}

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/**
 * Lines ended by LF or CRLF. Unlike readline this never splits at U+2028, which JSON may hold, and a line without end does
 * not fill the memory.
 */
export async function* readLines(path: string, maxLineBytes = Infinity): AsyncGenerator<Line> {
  let number = 1;
  let parts: Buffer[] = [];
  let size = 0;
  const take = (): Line => {
    const bytes = size > maxLineBytes ? undefined : withoutReturn(Buffer.concat(parts));
    parts = [];
    size = 0;
    return { number: number++, bytes };
  };
  const add = (part: Buffer): void => {
    size += part.length;
    if (size <= maxLineBytes) parts.push(part);
    else parts = [];
  };
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      add(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    add(chunk.subarray(start));
  }
  if (size > 0) yield take();
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === RETURN ? line.subarray(0, -1) : line;
}
