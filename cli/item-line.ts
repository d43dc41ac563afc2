import type { RejectedRow } from '../contracts/catalogue.ts';
import { isLookalikeError } from '../contracts/errors.ts';
import { loadPicture } from '../infra/import/load-picture.ts';
import { idOf, parseRow } from '../infra/import/row.ts';
import type { SourceRow } from '../infra/import/source-row.ts';

/** A request holds 15 MiB, a picture a third more as text. */
const MAX_PICTURE_BYTES = 10 * 1024 * 1024;

/** A row of a source as a line for the API, its picture within; a URL is left for the API to fetch. */
export async function lineOf(
  row: SourceRow,
  folder: string,
  signal: AbortSignal,
): Promise<{ text: string } | RejectedRow> {
  if ('unreadable' in row) return { row: row.row, id: null, reason: row.unreadable };
  const parsed = parseRow(row.value);
  if ('reason' in parsed) return { row: row.row, id: idOf(row.value), reason: parsed.reason };
  const { image, ...item } = parsed;
  if (/^https?:\/\//i.test(image)) return { text: JSON.stringify({ ...item, imageUrl: image }) };
  try {
    const bytes = await loadPicture(image, { folder, imageHosts: [], maxBytes: MAX_PICTURE_BYTES, signal });
    return { text: JSON.stringify({ ...item, imageBase64: bytes.toString('base64') }) };
  } catch (error) {
    if (!isLookalikeError(error) || error.code === 'cancelled') throw error;
    return { row: row.row, id: item.id, reason: error.message };
  }
}
