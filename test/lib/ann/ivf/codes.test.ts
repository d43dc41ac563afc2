import { describe, expect, it } from 'vitest';
import type { AnnIndex, IvfCodes, Metric } from '../../../../contracts/ann.ts';
import { buildOf, fileOf, recallOf, sectionsOf } from '../kind-contract.ts';
import { seededVectors } from '../seeded-vectors.ts';

const DIM = 16;
const NUM_LISTS = 10;
const vectors = seededVectors(1500, DIM, 21);
const queries = seededVectors(1510, DIM, 21).slice(1500);

const build = (metric: Metric, codes: IvfCodes, rows = vectors): Promise<AnnIndex> =>
  buildOf({ kind: 'ivf', metric, numLists: NUM_LISTS, nprobe: NUM_LISTS, codes, rescore: 0, seed: 3 }, rows);

/** What each row's code stands for, from the sections of the file alone, in doubles. */
async function decoded(index: AnnIndex, codes: Exclude<IvfCodes, { kind: 'flat' }>): Promise<number[][]> {
  const sections = await sectionsOf(await fileOf(index));
  const f32 = (name: string): Float32Array =>
    name in sections ? new Float32Array(new Uint8Array(sections[name]!).buffer) : new Float32Array(DIM);
  const i32 = (name: string): Int32Array => new Int32Array(new Uint8Array(sections[name]!).buffer);
  const [offsets, ids, panels, mean] = [i32('offsets'), i32('ids'), f32('panels'), f32('mean')];
  const rows: number[][] = [];
  let block = 0;
  for (let list = 0; list < NUM_LISTS; list++) {
    const centre = (d: number): number => mean[d]! + panels[((list >> 3) * DIM + d) * 8 + (list & 7)]!;
    for (let at = offsets[list]!; at < offsets[list + 1]!; at++) {
      const part = partOf(at, at - offsets[list]!, block);
      rows[ids[at]!] = Array.from({ length: DIM }, (_, d) => centre(d) + part[d]!);
    }
    block += Math.ceil((offsets[list + 1]! - offsets[list]!) / 32);
  }
  return rows;

  function partOf(at: number, place: number, firstBlock: number): number[] {
    const bytes = sections['codes']!;
    if (codes.kind === 'sq8') {
      const signed = new Int8Array(new Uint8Array(bytes).buffer);
      const [steps, middles] = [f32('steps'), f32('middles')];
      return Array.from({ length: DIM }, (_, d) => middles[d]! + steps[d]! * signed[at * DIM + d]!);
    }
    const { m, bits } = codes;
    const [dsub, width] = [DIM / m, 2 ** bits];
    const books = f32('codebooks');
    const codeOf = (j: number): number => {
      if (bits === 8) return bytes[at * m + j]!;
      const byte = bytes[((firstBlock + (place >> 5)) * m + j) * 16 + (place & 15)]!;
      return (place & 16) === 0 ? byte & 15 : byte >> 4;
    };
    const turned = Array.from({ length: DIM }, (_, d) => {
      const [j, code] = [Math.floor(d / dsub), codeOf(Math.floor(d / dsub))];
      return books[j * width * dsub + ((code >> 3) * dsub + (d % dsub)) * 8 + (code & 7)]!;
    });
    if (!codes.opq) return turned;
    const rotation = f32('rotation');
    return turned.map((_, d) => turned.reduce((sum, value, i) => sum + rotation[i * DIM + d]! * value, 0));
  }
}

function score(metric: Metric, row: number[], query: Float32Array): number {
  if (metric === 'l2') return -row.reduce((sum, value, d) => sum + (value - query[d]!) ** 2, 0);
  return row.reduce((sum, value, d) => sum + value * query[d]!, 0);
}

const errorOf = (rows: number[][]): number =>
  rows.reduce((sum, row, i) => sum - score('l2', row, vectors[i]!), 0) / rows.length;

describe('codes', () => {
  it.each([
    // Queries of 14 bits.
    ['sq8', { kind: 'sq8' }, 1e-2],
    ['pq8', { kind: 'pq', m: 8, bits: 8, opq: false }, 1e-3],
    ['pq8 of odd m', { kind: 'pq', m: 1, bits: 8, opq: false }, 1e-3],
    ['rotated pq8', { kind: 'pq', m: 4, bits: 8, opq: true }, 1e-3],
    // Tables of bytes: half a 255th of the widest table for each of 8 sub-vectors.
    ['pq4', { kind: 'pq', m: 8, bits: 4, opq: false }, 0.4],
    ['rotated pq4', { kind: 'pq', m: 8, bits: 4, opq: true }, 0.4],
  ] as const)('%s scores are those of the rows that the codes stand for', async (_, codes, tolerance) => {
    for (const metric of ['l2', 'innerProduct'] as const) {
      const index = await build(metric, codes);
      const rows = await decoded(index, codes);
      for (const query of queries) {
        const found = index.search(query, { k: 700 });
        expect(found.plan).toBe('lists');
        expect(found.rows).toHaveLength(700);
        const worst = Math.max(
          ...[...found.rows].map((row, i) => Math.abs(found.scores[i]! - score(metric, rows[row]!, query))),
        );
        expect(worst).toBeLessThan(tolerance);
        // The 700 best of all, but for ties within the tolerance.
        const bar = rows.map((row) => score(metric, row, query)).sort((a, b) => b - a)[699]!;
        expect(found.scores.at(-1)!).toBeGreaterThanOrEqual(bar - tolerance);
      }
    }
  });

  it('stand nearer to their rows the more sub-vectors there are, and with 8 bits nearer than with 4', async () => {
    const error = async (codes: Exclude<IvfCodes, { kind: 'flat' }>): Promise<number> =>
      errorOf(await decoded(await build('l2', codes), codes));
    const pq = (m: number, bits: 4 | 8): Promise<number> => error({ kind: 'pq', m, bits, opq: false });
    const errors = [await pq(2, 4), await pq(4, 4), await pq(8, 4), await pq(8, 8), await error({ kind: 'sq8' })];
    for (let i = 1; i < errors.length; i++) expect(errors[i]!).toBeLessThan(0.8 * errors[i - 1]!);
  });

  it('a learnt rotation spends the bits where the rows spread', async () => {
    // All that differs is in one sub-vector, and three of four codes would have nothing to tell.
    const rows = seededVectors(1500, DIM, 22, 1).map((row) => row.map((value, d) => (d < 4 ? value : value / 50)));
    const error = async (opq: boolean): Promise<number> => {
      const codes = { kind: 'pq', m: 4, bits: 4, opq } as const;
      const found = await decoded(await build('l2', codes, rows), codes);
      return found.reduce((sum, row, i) => sum - score('l2', row, rows[i]!), 0);
    };
    const [plain, turned] = [await error(false), await error(true)];
    expect(turned).toBeLessThan(0.4 * plain);
  });

  it('rescoring mends what codes confuse', async () => {
    const index = await build('l2', { kind: 'pq', m: 2, bits: 8, opq: false });
    const [coarse, fine] = [0, 20].map((rescore) => recallOf(index, queries, { k: 10, rescore }));
    expect(coarse).toBeLessThan(0.9);
    expect(fine).toBeGreaterThan(0.95);
  });
});
