import type { Condition } from '../../contracts/filters.ts';
import type { Json } from '../../contracts/json.ts';

/** The texts that an attribute counts as: its own or, of a list, each element's. Objects and null count as nothing. */
export function textsOf(attribute: Json | undefined): string[] {
  const values = Array.isArray(attribute) ? attribute : [attribute];
  return values.flatMap((value) =>
    typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? [String(value)] : [],
  );
}

/** What a text reads as: NaN unless it is a number all through. */
export function numberOf(text: string): number {
  return text.trim() === '' ? NaN : Number(text);
}

/** Whether one text of an attribute meets a condition. */
export function meets(condition: Condition): (text: string) => boolean {
  if (typeof condition !== 'object') {
    const wanted = String(condition);
    return (text) => text === wanted;
  }
  if ('in' in condition) {
    const wanted = new Set(condition.in.map(String));
    return (text) => wanted.has(text);
  }
  const { gt = -Infinity, gte = -Infinity, lt = Infinity, lte = Infinity } = condition;
  return (text) => {
    const value = numberOf(text);
    // NaN is within no bounds, and neither is what is infinite.
    return Number.isFinite(value) && value > gt && value >= gte && value < lt && value <= lte;
  };
}
