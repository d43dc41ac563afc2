import type { Calibration } from '../../contracts/calibration.ts';

/** A pair of pictures: how alike they score, and whether they show the same product. */
export interface LabelledPair {
  score: number;
  isSame: boolean;
}

/** Fewer of either kind tell nothing that would hold. */
export const MIN_PAIRS_OF_A_KIND = 30;
/** More knots than that are joined: an answer needs no finer map. */
const MAX_KNOTS = 64;

type Knot = Calibration['knots'][number];
interface Block {
  scoreSum: number;
  numSame: number;
  count: number;
}

/**
 * The monotone map from score to the probability of "same product" that fits the pairs best, in squared error: isotonic regression by
 * pooling adjacent violators (Ayer et al. 1955; for probabilities Zadrozny and Elkan, KDD 2002), and straight lines between the means of its
 * blocks. No finite number of pairs proves certainty: probabilities stay as far from 0 and 1 as one pair more of the other kind would put them.
 * @returns knots of ascending score and probability; undefined with fewer than {@link MIN_PAIRS_OF_A_KIND} of either kind
 */
export function fitCalibration(pairs: readonly LabelledPair[]): Knot[] | undefined {
  const numSame = pairs.filter(({ isSame }) => isSame).length;
  if (Math.min(numSame, pairs.length - numSame) < MIN_PAIRS_OF_A_KIND) return undefined;
  const sorted = [...pairs].sort((a, b) => a.score - b.score);
  const blocks: Block[] = [];
  // So large that there cannot be too many.
  const minCount = Math.ceil(pairs.length / MAX_KNOTS);
  for (let from = 0; from < sorted.length;) {
    let to = Math.min(sorted.length, from + minCount);
    // Equal scores have one probability.
    while (to < sorted.length && sorted[to]!.score === sorted[to - 1]!.score) to++;
    let block = blockOf(sorted.slice(from, to));
    for (let last = blocks.at(-1); last !== undefined && rate(last) >= rate(block); last = blocks.at(-1)) {
      blocks.pop();
      block = joined(last, block);
    }
    blocks.push(block);
    from = to;
  }
  const margin = 1 / (pairs.length + 2);
  return blocks.map((block) => [block.scoreSum / block.count, Math.min(1 - margin, Math.max(margin, rate(block)))]);
}

/** Straight between two knots, level beyond the ends. */
export function probabilityOf(knots: readonly Knot[], score: number): number {
  const next = knots.findIndex(([knot]) => knot >= score);
  if (next === 0) return knots[0]![1];
  if (next < 0) return knots.at(-1)![1];
  const [[fromScore, from], [toScore, to]] = [knots[next - 1]!, knots[next]!];
  return from + ((to - from) * (score - fromScore)) / (toScore - fromScore);
}

/**
 * Expected calibration error: in ten equally large groups by probability, how far its mean is from the share of "same product", on average.
 * Meant for pairs that the map was not fitted to.
 */
export function calibrationError(knots: readonly Knot[], pairs: readonly LabelledPair[]): number {
  const judged = pairs.map(({ score, isSame }) => ({ probability: probabilityOf(knots, score), isSame }));
  judged.sort((a, b) => a.probability - b.probability);
  const numGroups = 10;
  let error = 0;
  for (let group = 0; group < numGroups; group++) {
    const own = judged.slice(
      Math.floor((group * judged.length) / numGroups),
      Math.floor(((group + 1) * judged.length) / numGroups),
    );
    const surplus = own.reduce((sum, { probability, isSame }) => sum + probability - Number(isSame), 0);
    error += Math.abs(surplus) / judged.length;
  }
  return error;
}

function blockOf(pairs: readonly LabelledPair[]): Block {
  return {
    scoreSum: pairs.reduce((sum, { score }) => sum + score, 0),
    numSame: pairs.filter(({ isSame }) => isSame).length,
    count: pairs.length,
  };
}

function joined(a: Block, b: Block): Block {
  return { scoreSum: a.scoreSum + b.scoreSum, numSame: a.numSame + b.numSame, count: a.count + b.count };
}

function rate({ numSame, count }: Block): number {
  return numSame / count;
}
