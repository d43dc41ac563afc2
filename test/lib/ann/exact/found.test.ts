import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { merged } from '../../../../lib/ann/exact/found.ts';
import type { Found } from '../../../../lib/ann/rows.ts';

interface Pair {
  row: number;
  score: number;
}

function bestFirst(pairs: readonly Pair[]): Pair[] {
  return [...pairs].sort((a, b) => b.score - a.score || a.row - b.row);
}

function foundOf(pairs: readonly Pair[]): Found {
  return { rows: Int32Array.from(pairs, ({ row }) => row), scores: Float32Array.from(pairs, ({ score }) => score) };
}

describe('merged answers', () => {
  test('are the best of all, equal scores by row, however many there are', () => {
    // Few scores, so that many are equal.
    const part = fc.array(fc.integer({ min: -3, max: 3 }), { maxLength: 8 });
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 12 }), (scores, room) => {
        let row = 0;
        const parts = scores.map((some) => bestFirst(some.map((score) => ({ row: row++, score }))));
        // An answer of one part is handed on as it is: it was made with the same room.
        const cut = parts.map((pairs) => foundOf(pairs.slice(0, room)));
        expect(merged(cut, room)).toEqual(foundOf(bestFirst(parts.flat()).slice(0, room)));
      }),
    );
  });
});
