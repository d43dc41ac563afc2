import type { IvfSpec } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import { divisorUpTo, MAX_PARTS } from '../auto-candidates.ts';

/** @throws LookalikeError `invalidInput` when the codes do not fit the dimension */
export function checkIvf({ codes }: IvfSpec, dim: number): void {
  const kinds = ['flat', 'sq8', 'pq'];
  if (!kinds.includes(codes?.kind)) {
    const got = JSON.stringify(codes);
    throw new LookalikeError('invalidInput', `Expected \`codes.kind\` to be one of ${kinds.join(', ')}, got ${got}.`);
  }
  if (codes.kind !== 'pq') return;
  if (codes.bits !== 4 && codes.bits !== 8) {
    throw new LookalikeError('invalidInput', `Expected \`codes.bits\` to be 4 or 8, got ${String(codes.bits)}.`);
  }
  if (!Number.isInteger(codes.m) || codes.m < 0 || codes.m > MAX_PARTS || (codes.m > 0 && dim % codes.m !== 0)) {
    const usable = Array.from({ length: Math.min(dim, MAX_PARTS) }, (_, i) => i + 1).filter((m) => dim % m === 0);
    throw new LookalikeError(
      'invalidInput',
      `Expected \`codes.m\` to divide the ${dim} dimensions into equal sub-vectors, got ${codes.m}. Use one of ${usable.join(', ')}, or 0 for one that suits.`,
    );
  }
}

/** With the sub-vectors of `m` 0 counted: as many as divide the dimension, one for 8 dimensions at most. */
export function withParts(spec: IvfSpec, dim: number): IvfSpec {
  const { codes } = spec;
  if (codes.kind !== 'pq' || codes.m > 0) return spec;
  return { ...spec, codes: { ...codes, m: divisorUpTo(dim, Math.min(MAX_PARTS, dim / 8)) } };
}
