import { describe, expect, it } from 'vitest';
import { cropBox } from '../../cli/crop-option.ts';

describe('--crop', () => {
  it('is a box in shares or in pixels', () => {
    const box = { left: 0.2, top: 0, width: 0.5, height: 1 };
    expect(cropBox('0.2,0,0.5,1')).toEqual({ ...box, unit: 'relative' });
    expect(cropBox('40,60,200,210px')).toEqual({ left: 40, top: 60, width: 200, height: 210, unit: 'pixel' });
  });

  it.each(['', '1,2,3', '1,2,3,4,5', 'a,0,1,1', '-1,0,1,1', '0,,1,1'])('%j is wrong usage', (text) => {
    expect(() => cropBox(text)).toThrow(/left,top,width,height/);
  });
});
