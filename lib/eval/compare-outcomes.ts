import { LookalikeError } from '../../contracts/errors.ts';
import type { CategoryRecall, ModelComparison, PairedRecall, QueryOutcome } from '../../contracts/evaluation.ts';
import { holm, pairedInterval, signTest } from './sign-test.ts';

/**
 * Two models on the same queries: how often each is right where the other is not, overall and by category.
 * @param minQueries categories with fewer queries are not tested; 0 tests none
 * @throws LookalikeError `conflict` when the queries are not the same
 */
export function compareOutcomes(
  candidate: readonly QueryOutcome[],
  yardstick: readonly QueryOutcome[],
  minQueries: number,
): ModelComparison {
  const same =
    candidate.length === yardstick.length &&
    candidate.every(({ image, label }, i) => yardstick[i]!.image === image && yardstick[i]!.label === label);
  if (!same) {
    throw new LookalikeError(
      'conflict',
      `Expected both models to be judged by the same queries, got ${candidate.length} and ${yardstick.length} that differ.`,
    );
  }
  const pairs = candidate.map(({ category, rank }, i): Pair => {
    return { category, candidate: rank === 1, yardstick: yardstick[i]!.rank === 1 };
  });
  const categories = minQueries === 0 ? [] : byCategory(pairs, minQueries);
  return { ...pairedRecall(pairs), numCategories: categories.length, categories };
}

interface Pair {
  category: string | null;
  candidate: boolean;
  yardstick: boolean;
}

function pairedRecall(pairs: readonly Pair[]): PairedRecall {
  const count = (is: (pair: Pair) => boolean): number => pairs.reduce((sum, pair) => sum + (is(pair) ? 1 : 0), 0);
  const won = count(({ candidate, yardstick }) => candidate && !yardstick);
  const lost = count(({ candidate, yardstick }) => !candidate && yardstick);
  const share = (hits: number): number => (pairs.length === 0 ? 0 : hits / pairs.length);
  return {
    numQueries: pairs.length,
    candidate: share(count(({ candidate }) => candidate)),
    yardstick: share(count(({ yardstick }) => yardstick)),
    won,
    lost,
    pWorse: signTest(won, lost),
    interval: pairedInterval(pairs.length, won, lost),
  };
}

function byCategory(pairs: readonly Pair[], minQueries: number): CategoryRecall[] {
  const groups = [...Map.groupBy(pairs, ({ category }) => category)].flatMap(([category, group]) =>
    category === null || group.length < minQueries ? [] : [{ category, ...pairedRecall(group) }],
  );
  const adjusted = holm(groups.map(({ pWorse }) => pWorse));
  return groups
    .map((group, i) => ({ ...group, adjusted: adjusted[i]! }))
    .sort((a, b) => a.adjusted - b.adjusted || a.pWorse - b.pWorse || (a.category < b.category ? -1 : 1));
}
