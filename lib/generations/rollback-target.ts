import type { Generation, GenerationSwitch } from '../../contracts/serving.ts';

/**
 * The generation that a rollback without a number leads to: what served before the one that serves now came to serve. Switches are
 * undone like edits: a rollback takes the newest ones off, so that rolling back twice leads two back, not there and back again; and
 * after a promote it leads to what was promoted over. Generations that served before switches were recorded stand below, by number.
 * @param switches oldest first
 * @returns null when nothing served before
 */
export function rollbackTarget(
  generations: readonly Pick<Generation, 'number' | 'status'>[],
  switches: readonly GenerationSwitch[],
): number | null {
  const recorded = new Set(switches.map(({ generation }) => generation));
  const stack = generations
    .filter(({ number, status }) => (status === 'retired' || status === 'serving') && !recorded.has(number))
    .map(({ number }) => number)
    .sort((a, b) => a - b);
  for (const { generation, how } of switches) {
    const at = how === 'rollback' ? stack.lastIndexOf(generation) : -1;
    if (at >= 0) stack.length = at + 1;
    else stack.push(generation);
  }
  const serving = stack.at(-1);
  return stack.findLast((number) => number !== serving) ?? null;
}
