import { describe, expect, it } from 'vitest';
import { recipes } from '../../api/training/recipes.ts';

describe('recipes as requests choose them', () => {
  it.each([
    { set: ['backbone=file:/etc/hostname'] },
    { set: ['backbone="file:/etc/hostname"'] },
    { config: { backbone: 'file:/etc/hostname' } },
  ])('never name a file of the server: %j', (request) => {
    expect(() => recipes.resolve(request)).toThrow(
      expect.objectContaining({
        code: 'invalidInput',
        message: expect.stringContaining('command line only') as string,
      }),
    );
  });

  it('name a backbone by its artefact', () => {
    const backbone = 'model-00000000000000000000000000000001';
    expect(recipes.resolve({ set: [`backbone=${backbone}`] })).toMatchObject({ backbone });
  });
});
