import { describe, expect, it } from 'vitest';
import { collectWhere } from '../../cli/where.ts';
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
