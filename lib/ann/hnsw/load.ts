import type { HnswSpec } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import type { LoadOptions } from '../kind.ts';
import { copyInPieces } from '../pause.ts';
import type { Vectors } from '../vectors.ts';
import { placeGraph } from './graph.ts';
import type { Graph } from './graph.ts';
import { areLevels } from './levels.ts';

/** Rows whose links are checked between two pauses. */
const CHECK_ROWS = 8192;

/** The sections of the file that make the graph: codes are not among them, the rows give them again. */
export function graphSections({ levels, ground, upper }: Graph): Record<string, Uint8Array> {
  return { levels, ground: bytesOf(ground), upper: bytesOf(upper) };
}

/**
 * Reads the graph of at least one row. Every level and link is checked, so that no walk leaves the graph.
 * @throws LookalikeError `corruptArtifact`
 */
export async function loadGraph(spec: HnswSpec, vectors: Vectors, section: LoadOptions['section']): Promise<Graph> {
  const { kernels, size } = vectors;
  const levels = Uint8Array.from(checked('levels', section('levels'), size));
  if (!areLevels(levels)) throw corrupt('levels that a build can draw, and it names higher ones');
  const numBlocks = levels.reduce((sum, level) => sum + level, 0);
  const ground = checked('ground', section('ground'), size * spec.m * 8);
  const upper = checked('upper', section('upper'), numBlocks * spec.m * 4);
  const graph = await placeGraph(spec, vectors, levels);
  await copyInPieces(ground, bytesOf(graph.ground));
  await copyInPieces(upper, bytesOf(graph.upper));
  for (let from = 0; from < size; from += CHECK_ROWS) {
    if (kernels.run.hnswCheckLinks(graph.head, from, Math.min(from + CHECK_ROWS, size)) === 0) {
      throw corrupt('links between its own rows, and one leads elsewhere');
    }
    await new Promise((resume) => setImmediate(resume));
  }
  return graph;
}

function checked(name: string, bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return bytes;
  throw corrupt(`${length} bytes of ${name}, got ${bytes.length}`);
}

function corrupt(expected: string): LookalikeError {
  return new LookalikeError('corruptArtifact', `Expected of the graph ${expected}. Rebuild the index.`);
}

function bytesOf(links: Int32Array): Uint8Array {
  return new Uint8Array(links.buffer, links.byteOffset, links.byteLength);
}
