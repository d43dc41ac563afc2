import { describe, expect, it } from 'vitest';
import { viewSeeds } from '../../../lib/embed/view-seeds.ts';

describe('viewSeeds', () => {
  it('starts with the plain view and gives every other view its own seed', () => {
    const seeds = viewSeeds('ff00aa11'.repeat(8), 50);
    expect(seeds[0]).toBeNull();
    expect(new Set(seeds).size).toBe(50);
  });

  it('gives a view the same seed however many views are asked, and another picture other seeds', () => {
    const hash = '0123abcd'.repeat(8);
    expect(viewSeeds(hash, 8).slice(0, 3)).toEqual(viewSeeds(hash, 3));
    expect(viewSeeds('1123abcd'.repeat(8), 3)[1]).not.toBe(viewSeeds(hash, 3)[1]);
  });
});
