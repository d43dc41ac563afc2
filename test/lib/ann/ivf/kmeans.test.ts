import { describe, expect, it } from 'vitest';
import { Kernels } from '../../../../lib/ann/kernels/kernels.ts';
import { callRunner } from '../../../../lib/ann/ivf/call-runner.ts';
import { trainCells } from '../../../../lib/ann/ivf/kmeans.ts';
import { seededRandom, seededVectors } from '../seeded-vectors.ts';

const DIM = 12;
const NUM_CELLS = 24;

/** Sum of squared distances from the nearest centre, in doubles. */
function inertiaOf(rows: Float32Array[], centres: ArrayLike<number>): number {
  return rows.reduce((sum, row) => sum + nearest(row, centres).distance, 0);
}

function nearest(row: ArrayLike<number>, centres: ArrayLike<number>): { cell: number; distance: number } {
  const best = { cell: 0, distance: Infinity };
  for (let cell = 0; cell < NUM_CELLS; cell++) {
    let distance = 0;
    for (let d = 0; d < DIM; d++) distance += (row[d]! - centres[cell * DIM + d]!) ** 2;
    if (distance < best.distance) Object.assign(best, { cell, distance });
  }
  return best;
}

/** Lloyd's algorithm from rows drawn by squared distance (k-means++), as it is in the books. */
function lloyd(rows: Float32Array[], iterations: number, seed: number): number {
  const random = seededRandom(seed);
  const centres = new Float64Array(NUM_CELLS * DIM).fill(1e6);
  const distances = rows.map(() => 1);
  for (let cell = 0; cell < NUM_CELLS; cell++) {
    let left = random() * distances.reduce((sum, distance) => sum + distance, 0);
    const drawn = distances.findIndex((distance) => (left -= distance) < 0);
    centres.set(rows[Math.max(0, drawn)]!, cell * DIM);
    rows.forEach((row, i) => (distances[i] = nearest(row, centres).distance));
  }
  for (let iteration = 0; iteration < iterations; iteration++) {
    const cells = rows.map((row) => nearest(row, centres).cell);
    for (let cell = 0; cell < NUM_CELLS; cell++) {
      const members = rows.filter((_, i) => cells[i] === cell);
      if (members.length === 0) continue;
      for (let d = 0; d < DIM; d++) {
        centres[cell * DIM + d] = members.reduce((sum, row) => sum + row[d]!, 0) / members.length;
      }
    }
  }
  return inertiaOf(rows, centres);
}

async function train(rows: Float32Array[], iterations: number, spherical = false, seed = 1): Promise<Float32Array> {
  const kernels = new Kernels();
  const address = kernels.place(Float32Array.from(rows.flatMap((row) => [...row])));
  const { centres } = await trainCells(
    { kernels, address, stride: DIM * 4, dim: DIM, numRows: rows.length },
    {
      ...{ numCells: NUM_CELLS, spherical, iterations, random: seededRandom(seed) },
      run: callRunner(kernels, {}),
    },
  );
  return centres;
}

describe('k-means', () => {
  // Fewer than 8 rows a cell: every iteration looks at all rows.
  const few = seededVectors(180, DIM, 31, 30);
  const many = seededVectors(1200, DIM, 32, 40);

  it('never ends farther from the rows for one iteration more', async () => {
    const inertias: number[] = [];
    for (let iterations = 1; iterations <= 8; iterations++) {
      inertias.push(inertiaOf(few, await train(few, iterations)));
    }
    for (let i = 1; i < inertias.length; i++) {
      // Cells are told by 16 bits, which may mistake two that are as good as equally near.
      expect(inertias[i]!).toBeLessThanOrEqual(inertias[i - 1]! * (1 + 1e-4));
    }
    expect(inertias.at(-1)!).toBeLessThan(0.97 * inertias[0]!);
  });

  it.each([
    ['few rows', few],
    ['many rows, of which most iterations see a quarter', many],
    ['rows far from the origin', many.map((row) => row.map((value) => value + 40))],
  ])('comes within 5 in 100 of the plain algorithm, the mean of several seeds each: %s', async (_, rows) => {
    const seeds = [1, 2, 3, 4];
    let [ours, plain] = [0, 0];
    for (const seed of seeds) {
      ours += inertiaOf(rows, await train(rows, 12, false, seed));
      plain += lloyd(rows, 12, seed);
    }
    expect(ours).toBeLessThan(1.05 * plain);
  });

  it('its centres are the means of the rows that are nearest to them', async () => {
    const centres = await train(few, 30);
    const cells = few.map((row) => nearest(row, centres).cell);
    for (let cell = 0; cell < NUM_CELLS; cell++) {
      const members = few.filter((_, i) => cells[i] === cell);
      expect(members.length).toBeGreaterThan(0);
      for (let d = 0; d < DIM; d++) {
        const mean = members.reduce((sum, row) => sum + row[d]!, 0) / members.length;
        expect(centres[cell * DIM + d]!).toBeCloseTo(mean, 4);
      }
    }
  });

  it('on the sphere gives centres of unit length', async () => {
    const unit = many.map((row) => row.map((value) => value / Math.hypot(...row)));
    const centres = await train(unit, 8, true);
    for (let cell = 0; cell < NUM_CELLS; cell++) {
      expect(Math.hypot(...centres.subarray(cell * DIM, (cell + 1) * DIM))).toBeCloseTo(1, 5);
    }
  });

  it('gives no cell more than 6 times its share where half of the rows are one crowd', async () => {
    const crowd = many.map((row, i) => (i % 2 === 0 ? row : row.map((value, d) => many[1]![d]! + value / 50)));
    const centres = await train(crowd, 12);
    const counts = new Int32Array(NUM_CELLS);
    for (const row of crowd) counts[nearest(row, centres).cell]!++;
    // The plain algorithm spends one cell or two on the crowd, which then hold 12 times their share or 6.
    expect(Math.max(...counts)).toBeLessThanOrEqual((6 * crowd.length) / NUM_CELLS);
  });
});
