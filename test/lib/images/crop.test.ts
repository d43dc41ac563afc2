import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planCrop } from '../../../lib/images/crop.ts';

const side = fc.integer({ min: 1, max: 5000 });
const share = fc.double({ min: 0, max: 1, noNaN: true });

describe('a crop', () => {
  it('in shares is a box of whole pixels within the picture, at most half a pixel off each edge', () => {
    fc.assert(
      fc.property(side, side, share, share, share, share, (width, height, a, b, c, d) => {
        const [left, right] = [Math.min(a, b), Math.max(a, b)];
        const [top, bottom] = [Math.min(c, d), Math.max(c, d)];
        fc.pre(right - left > 0 && bottom - top > 0);
        const crop = { left, top, width: right - left, height: bottom - top, unit: 'relative' } as const;
        const box = planCrop(crop, width, height, Infinity);
        if ('problem' in box) throw new Error(box.problem);
        expect(Object.values(box).every(Number.isInteger)).toBe(true);
        expect(Math.min(box.width, box.height)).toBeGreaterThanOrEqual(1);
        expect(box.left + box.width).toBeLessThanOrEqual(width);
        expect(box.top + box.height).toBeLessThanOrEqual(height);
        // What is thinner than a pixel still is one.
        expect(Math.abs(box.left - left * width)).toBeLessThanOrEqual(1);
        expect(Math.abs(box.left + box.width - right * width)).toBeLessThanOrEqual(1);
        expect(Math.abs(box.top + box.height - bottom * height)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('in pixels is what it says, or a problem where it leaves the picture', () => {
    const edge = fc.integer({ min: -2, max: 12 });
    fc.assert(
      fc.property(edge, edge, edge, edge, (left, top, width, height) => {
        const box = { left, top, width, height };
        const isWithin = left >= 0 && top >= 0 && width > 0 && height > 0 && left + width <= 10 && top + height <= 8;
        const planned = planCrop({ ...box, unit: 'pixel' }, 10, 8, Infinity);
        expect('problem' in planned).toBe(!isWithin);
        if (isWithin) expect(planned).toEqual(box);
      }),
    );
  });

  it.each([
    [
      { left: 0.5, top: 0, width: 4, height: 4, unit: 'pixel' },
      /whole pixels of the upright picture, which is 100 x 50/,
    ],
    [{ left: 0.5, top: 0, width: 0.6, height: 1, unit: 'relative' }, /shares of the picture, 0 to 1, got left 0.5/],
    [{ left: 0, top: 0, width: 1, height: 0.02, unit: 'relative' }, /at most 20:1, got 100 x 1 pixels/],
  ] as const)('%j is refused in words', (crop, why) => {
    expect(planCrop(crop, 100, 50, 20)).toEqual({ problem: expect.stringMatching(why) as string });
  });

  it('takes what rounding of shares exceeds the picture by', () => {
    expect(planCrop({ left: 0.1, top: 0, width: 0.9000000001, height: 1, unit: 'relative' }, 10, 10, 50)).toEqual({
      ...{ left: 1, top: 0, width: 9, height: 10 },
    });
  });
});
