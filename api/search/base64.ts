import { ValidationError } from '../validation.ts';

/** Strict: Node skips characters that do not belong, and half a picture would be searched with. @throws ValidationError */
export function decodeBase64(field: string, text: string): Buffer {
  const payload = text.startsWith('data:') ? text.slice(text.indexOf(',') + 1) : text;
  const stray = /[^A-Za-z0-9+/=\r\n]/.exec(payload);
  const bytes = Buffer.from(payload, 'base64');
  const numDigits = payload.replace(/[=\r\n]/g, '').length;
  if (stray !== null || bytes.length !== Math.floor((numDigits * 3) / 4) || numDigits % 4 === 1) {
    const got = stray === null ? `text cut off after ${numDigits} digits` : `"${stray[0]}" at position ${stray.index}`;
    throw new ValidationError([{ field, expected: 'base64 (RFC 4648)', got }]);
  }
  return bytes;
}
