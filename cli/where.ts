import { InvalidArgumentError } from 'commander';
import type { AttributeFilter, Condition } from '../contracts/filters.ts';

const BOUNDS = { '<=': 'lte', '<': 'lt', '>=': 'gte', '>': 'gt' } as const;

/** `--where`, each time it is given: `brand=acme`, `size=s,m`, `price<=50`. Two bounds of one attribute go together. */
export function collectWhere(text: string, before: AttributeFilter = {}): AttributeFilter {
  const [, name, operator, value] = /^([^<>=]+)(<=|>=|<|>|=)(.*)$/s.exec(text) ?? [];
  if (name === undefined || operator === undefined || value === undefined) {
    throw new InvalidArgumentError(`Expected name=value, name=value,value or name<=number, got "${text}".`);
  }
  const known = Object.hasOwn(before, name) ? before[name] : undefined;
  if (operator === '=') {
    if (known !== undefined)
      throw new InvalidArgumentError(`Expected one condition on ${name}, got another: "${text}".`);
    const values = value.split(',');
    return { ...before, [name]: values.length === 1 ? value : { in: values } };
  }
  const bound = BOUNDS[operator as keyof typeof BOUNDS];
  const number = Number(value);
  if (value.trim() === '' || !Number.isFinite(number)) {
    throw new InvalidArgumentError(`Expected a number after ${name}${operator}, got "${value}".`);
  }
  const bounds: Condition = typeof known === 'object' && !('in' in known) ? known : {};
  if ((known !== undefined && known !== bounds) || bounds[bound] !== undefined) {
    throw new InvalidArgumentError(`Expected one condition on ${name}, got another: "${text}".`);
  }
  return { ...before, [name]: { ...bounds, [bound]: number } };
}

export type Boosts = { filter: AttributeFilter; weight: number }[];

/** `--boost`, each time it is given: a condition as of `--where`, a colon, and a weight. */
export function collectBoost(text: string, before: Boosts = []): Boosts {
  const [, condition, weight] = /^(.+):([^:]+)$/s.exec(text) ?? [];
  const number = Number(weight);
  if (condition === undefined || weight === undefined || weight.trim() === '' || !Number.isFinite(number)) {
    throw new InvalidArgumentError(`Expected a condition, a colon and a number, like brand=acme:0.1, got "${text}".`);
  }
  return [...before, { filter: collectWhere(condition), weight: number }];
}
