import { expect, it } from 'vitest';
import { normals, randomOf } from '../../../lib/train/random.ts';
import { foldStandardisation, standardisationOf, standardise } from '../../../lib/train/standardisation.ts';

const [NUM_PICTURES, VIEWS, DIM, OUT] = [40, 2, 6, 3];

function product(rows: Float32Array, kernel: Float32Array, bias: Float32Array): number[] {
  return Array.from({ length: (rows.length / DIM) * OUT }, (_, at) => {
    const [row, d] = [Math.floor(at / OUT), at % OUT];
    return Array.from({ length: DIM }, (_, j) => rows[row * DIM + j]! * kernel[j * OUT + d]!).reduce(
      (a, b) => a + b,
      bias[d]!,
    );
  });
}

it('gives the plain views mean 0 and deviation 1', () => {
  const raw = normals(NUM_PICTURES * VIEWS * DIM, randomOf('raw')).map((value, i) => value * (1 + (i % DIM)) + 5);
  const standard = standardise(raw, standardisationOf(raw, VIEWS, DIM));
  for (let j = 0; j < DIM; j++) {
    const column = Array.from({ length: NUM_PICTURES }, (_, picture) => standard[picture * VIEWS * DIM + j]!);
    const mean = column.reduce((a, b) => a + b) / NUM_PICTURES;
    expect(mean).toBeCloseTo(0, 4);
    expect(Math.hypot(...column) / Math.sqrt(NUM_PICTURES)).toBeCloseTo(1, 2);
  }
});

it('folds into a head that says the same of raw features', () => {
  const random = randomOf('fold');
  const raw = normals(NUM_PICTURES * VIEWS * DIM, random).map((value, i) => value * (1 + (i % DIM)) + 5);
  const [kernel, bias] = [normals(DIM * OUT, random), normals(OUT, random)];
  const scale = standardisationOf(raw, VIEWS, DIM);

  const folded = foldStandardisation(kernel, bias, scale);

  const expected = product(standardise(raw, scale), kernel, bias);
  product(raw, folded.kernel, folded.bias).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 4));
});
