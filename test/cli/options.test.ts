import { Command } from 'commander';
import { expect, it } from 'vitest';
import { wholeNumber } from '../../cli/options.ts';
import { scoreOrNone } from '../../cli/similar.ts';

it('a whole number outside of its limits is refused with both of them', () => {
  expect(wholeNumber(1, 1_000)('1000')).toBe(1000);
  for (const text of ['0', '1001', '1.5', '', 'many']) {
    expect(() => wholeNumber(1, 1_000)(text)).toThrow(
      `Expected a whole number of at least 1 and at most 1000, got "${text}".`,
    );
  }
  expect(() => wholeNumber(0)('-1')).toThrow('Expected a whole number of at least 0, got "-1".');
});

it('a score of near-duplicates is a number or none, and nothing else is taken for 0', () => {
  expect(['0.9', '-2', 'none'].map(scoreOrNone)).toEqual([0.9, -2, 'none']);
  const command = new Command().exitOverride().option('--score <score>', '', scoreOrNone);
  expect(command.parse(['--score', 'none'], { from: 'user' }).opts()).toEqual({ score: 'none' });
  for (const text of ['', ' ', 'abc', 'Infinity']) {
    expect(() => scoreOrNone(text)).toThrow(`Expected a score such as 0.98, or none, got "${text}".`);
  }
});
