import type { IndexSpec } from '../../contracts/ann.ts';

/** An index's parameters in words; what a search overrides is told with the search again. */
export function specText(spec: IndexSpec): string {
  const told = Object.entries(spec).filter(([name]) => !['kind', 'metric', 'seed'].includes(name));
  return told.map(([name, value]) => `${name}=${valueText(value)}`).join(', ');
}

/** Codes are told as `pq m=32 bits=8 opq=false`. */
function valueText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const { kind, ...rest } = value as { kind: string };
  return [kind, ...Object.entries(rest).map(([name, inner]) => `${name}=${String(inner)}`)].join(' ');
}
