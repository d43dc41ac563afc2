import { describe, expect, it } from 'vitest';
import { collectBoost, collectWhere } from '../../cli/where.ts';
import type { AttributeFilter } from '../../contracts/filters.ts';

const filterOf = (...given: string[]): AttributeFilter | undefined =>
  given.reduce<AttributeFilter | undefined>((before, text) => collectWhere(text, before), undefined);

describe('--where', () => {
  it.each<[string[], AttributeFilter]>([
    [['brand=acme'], { brand: 'acme' }],
    [['size=s,m'], { size: { in: ['s', 'm'] } }],
    [['price<=50'], { price: { lte: 50 } }],
    [['price>10', 'price<50', 'brand=a=b'], { price: { gt: 10, lt: 50 }, brand: 'a=b' }],
    [['price>=-1.5'], { price: { gte: -1.5 } }],
    [['note='], { note: '' }],
  ])('%j means %j', (given, filter) => {
    expect(filterOf(...given)).toEqual(filter);
  });

  it.each([
    [['brand'], /name=value/],
    [['=acme'], /name=value/],
    [['price<cheap'], /a number after price</],
    [['price<'], /a number after price</],
    [['a=1', 'a=2'], /one condition on a/],
    [['a=1', 'a<2'], /one condition on a/],
    [['a<1', 'a<2'], /one condition on a/],
    [['a<1', 'a=2'], /one condition on a/],
  ])('%j is wrong usage', (given, why) => {
    expect(() => filterOf(...given)).toThrow(why);
  });
});

describe('--boost', () => {
  it('is a condition and a weight', () => {
    expect(collectBoost('price<=50:-0.5', collectBoost('shop=a:b:0.1'))).toEqual([
      { filter: { shop: 'a:b' }, weight: 0.1 },
      { filter: { price: { lte: 50 } }, weight: -0.5 },
    ]);
  });

  it.each(['brand=acme', 'brand=acme:', 'brand=acme:high', ':1', 'brand:1'])('%s is wrong usage', (text) => {
    expect(() => collectBoost(text)).toThrow(/Expected/);
  });
});
