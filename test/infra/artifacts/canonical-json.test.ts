import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson } from '../../../infra/artifacts/canonical-json.ts';

test('canonical text reads back as the value it was made from', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test('the order in which keys were set does not show', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
      const reversed = Object.fromEntries(Object.entries(value).reverse());
      expect(canonicalJson(reversed)).toBe(canonicalJson(value));
    }),
  );
});

test('undefined properties are left out, and what JSON cannot say is refused with its place', () => {
  expect(canonicalJson({ b: undefined, a: [1, null] })).toBe('{"a":[1,null]}');
  expect(() => canonicalJson({ a: [1, Number.NaN] })).toThrow(/finite number at \$\.a\[1\], got NaN/);
  expect(() => canonicalJson({ a: new Map() })).toThrow(/JSON value at \$\.a, got Map/);
  expect(() => canonicalJson({ a: 1n })).toThrow(/got bigint/);
});
