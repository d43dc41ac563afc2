import sharp from 'sharp';
import { parse, View } from 'vega';
import { compile } from 'vega-lite';
import type { TopLevelSpec } from 'vega-lite';

/** A Vega-Lite drawing as a whole SVG document, on white. */
export async function drawSvg(spec: TopLevelSpec, title: string): Promise<string> {
  const config = { font: 'Helvetica, Arial, sans-serif', axis: { labelFontSize: 12, titleFontSize: 13 } };
  const { spec: compiled } = compile({ ...spec, title, background: 'white', padding: 12, config });
  const view = new View(parse(compiled), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** An SVG document as PNG at twice its size, sharp on dense screens. */
export function pngOf(svg: string): Promise<Buffer> {
  return sharp(Buffer.from(svg), { density: 144 }).png().toBuffer();
}
