import { Command } from 'commander';
import { expect, it } from 'vitest';
import { amount, amounts, wholeNumber } from '../../cli/options.ts';
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

it('an amount may be a fraction within its limits, and a list is checked one by one', () => {
  expect(amount(0, 1)('0.25')).toBe(0.25);
  expect(amounts(0.1)('1,2.5,100')).toEqual([1, 2.5, 100]);
  expect(() => amount(0, 1)('1.1')).toThrow('Expected a number from 0 to 1, got "1.1".');
  for (const text of ['1,,2', '1,x', '0', 'NaN', 'Infinity']) {
    expect(() => amounts(0.1)(text)).toThrow('Expected a number of at least 0.1');
  }
});

it('a score of near-duplicates is a number or none, and nothing else is taken for 0', () => {
  expect(['0.9', '-2', 'none'].map(scoreOrNone)).toEqual([0.9, -2, 'none']);
  const command = new Command().exitOverride().option('--score <score>', '', scoreOrNone);
  expect(command.parse(['--score', 'none'], { from: 'user' }).opts()).toEqual({ score: 'none' });
  for (const text of ['', ' ', 'abc', 'Infinity']) {
    expect(() => scoreOrNone(text)).toThrow(`Expected a score such as 0.98, or none, got "${text}".`);
  }
});
