import { writeFile } from 'node:fs/promises';
import sharp from 'sharp';
import type { OverlayOptions, Sharp } from 'sharp';

/** A query and what was found, pictures included. */
export interface ShownQuery {
  title: string;
  picture: Buffer;
  /** The product the query shows. */
  label: string;
  hits: { title: string; label: string; score: number; picture: Buffer }[];
}

const CELL = 88;
const PICTURE = 72;
/** Room between the query and its results. */
const GAP = 24;
const RIGHT = { r: 46, g: 160, b: 67, alpha: 1 };
const WHITE = { r: 255, g: 255, b: 255, alpha: 1 };

/** One row of pictures: the query, then its results best first, right ones framed in green. */
export async function drawRow(query: ShownQuery): Promise<Buffer> {
  const cells = await Promise.all([
    cellOf(query.picture, false),
    ...query.hits.map((hit) => cellOf(hit.picture, hit.label === query.label)),
  ]);
  const placed = cells.map((input, i): OverlayOptions => ({ input, left: i * CELL + (i > 0 ? GAP : 0), top: 0 }));
  return blank(cells.length * CELL + GAP, CELL)
    .composite(placed)
    .png()
    .toBuffer();
}

/** Writes all rows below each other as one PNG, and as a page with titles and scores. */
export async function writeContactSheet(queries: ShownQuery[], paths: { png: string; html: string }): Promise<void> {
  const rows = await Promise.all(queries.map(drawRow));
  const width = Math.max(...queries.map((query) => (query.hits.length + 1) * CELL + GAP));
  const placed = rows.map((input, i): OverlayOptions => ({ input, left: 0, top: i * CELL }));
  await blank(width, Math.max(1, rows.length) * CELL)
    .composite(placed)
    .png()
    .toFile(paths.png);
  await writeFile(paths.html, page(queries));
}

function blank(width: number, height: number): Sharp {
  return sharp({ create: { width, height, channels: 4, background: WHITE } });
}

async function cellOf(picture: Buffer, isRight: boolean): Promise<Buffer> {
  const frame = 4;
  const space = (CELL - PICTURE) / 2 - frame;
  const framed = await sharp(picture)
    .resize(PICTURE, PICTURE, { fit: 'contain', background: WHITE })
    .flatten({ background: WHITE })
    .extend({ ...allSides(frame), background: isRight ? RIGHT : WHITE })
    .png()
    .toBuffer();
  return sharp(framed)
    .extend({ ...allSides(space), background: WHITE })
    .png()
    .toBuffer();
}

function allSides(width: number): { top: number; bottom: number; left: number; right: number } {
  return { top: width, bottom: width, left: width, right: width };
}

function page(queries: ShownQuery[]): string {
  const rows = queries.map((query) => {
    const hits = query.hits.map(
      (hit) =>
        `<figure class="${hit.label === query.label ? 'right' : ''}">${image(hit.picture, hit.title)}` +
        `<figcaption>${escaped(hit.title)}<br>${hit.score.toFixed(3)}</figcaption></figure>`,
    );
    return `<section><figure class="query">${image(query.picture, query.title)}<figcaption>${escaped(query.title)}</figcaption></figure>${hits.join('')}</section>`;
  });
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Lookalike: held-out queries</title>
<style>
body { font: 14px system-ui, sans-serif; margin: 2rem; color: #1f2328 }
section { display: flex; gap: .5rem; margin-bottom: 1rem; align-items: start }
figure { margin: 0; width: 7rem; padding: .25rem; border: 3px solid transparent; border-radius: .5rem; text-align: center }
figure.right { border-color: #2ea043 }
figure.query { margin-right: 1.5rem; background: #f6f8fa }
img { width: 4.5rem; height: 4.5rem; object-fit: contain }
figcaption { font-size: .75rem; overflow-wrap: anywhere }
</style>
<h1>Held-out queries and what was found</h1>
<p>Left: a picture the model never learnt from. Then the catalogue's most similar items; the same product is framed in green.</p>
${rows.join('\n')}
</html>
`;
}

function image(picture: Buffer, title: string): string {
  return `<img alt="${escaped(title)}" src="data:image/png;base64,${picture.toString('base64')}">`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
