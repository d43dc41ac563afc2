import { describe, expect, it } from 'vitest';
import { cutByCost, cutByHand } from '../../../lib/pipeline/cut.ts';
import type { Cut, CutOptions, Machine } from '../../../lib/pipeline/cut.ts';
import { layoutOf } from '../../../lib/pipeline/model.ts';
import type { Model } from '../../../lib/pipeline/model.ts';
import { convnet, fullyConnected } from '../../../lib/pipeline/models.ts';

const FAST: Machine = { flopsPerSecond: 1e10, bytesPerSecond: 1e9, memoryBytes: 1e9 };
const options = (numStages: number, machine: Partial<Machine> = {}): CutOptions => ({
  pipeline: { schedule: 'oneForwardOneBackward', numStages, numMicroBatches: 4 },
  microBatchRows: 8,
  numMoments: 1,
  machine: { ...FAST, ...machine },
});
const uneven = (): Model => fullyConnected({ inputDim: 300, width: 50, depth: 4, numLabels: 200 });

/** All ways to begin `count` further stages, in order. */
function choices(names: readonly string[], count: number): string[][] {
  if (count === 0) return [[]];
  return names.flatMap((name, i) => choices(names.slice(i + 1), count - 1).map((rest) => [name, ...rest]));
}

const slowest = (cut: Cut, { bytesPerSecond }: Machine): number =>
  Math.max(...cut.flatMap(({ computeSeconds, sentBytes }) => [computeSeconds, (2 * sentBytes) / bytesPerSecond]));
const sent = (cut: Cut): number => cut.reduce((sum, { sentBytes }) => sum + sentBytes, 0);
const namesOf = (model: Model): string[] => [...model.layers.map(({ name }) => name), model.loss.name];

describe('cutByCost', () => {
  it.each([
    ['fast links', {}],
    ['links that matter', { bytesPerSecond: 3e6 }],
    ['slow links', { bytesPerSecond: 1e5 }],
    ['little memory', { memoryBytes: 350_000 }],
  ] as const)('finds the cut that trying all finds, with %s', (_, machine) => {
    for (const model of [convnet(), uneven()]) {
      for (const numStages of [1, 2, 3, 4]) {
        const chosen = options(numStages, model.name === 'convnet' && 'memoryBytes' in machine ? {} : machine);
        const all = choices(namesOf(model).slice(1), numStages - 1).flatMap((names) => {
          const cut = cutByHand(model, names, options(numStages, { ...chosen.machine, memoryBytes: Infinity }));
          return cut.every(({ memoryBytes }) => memoryBytes <= chosen.machine.memoryBytes) ? [cut] : [];
        });
        const best = Math.min(...all.map((cut) => slowest(cut, chosen.machine)));
        if (all.length === 0) expect(() => cutByCost(model, chosen)).toThrow(/to fit into/);
        else {
          const found = cutByCost(model, chosen);
          expect(slowest(found, chosen.machine)).toBe(best);
          const equal = all.filter((cut) => slowest(cut, chosen.machine) === best);
          expect(sent(found)).toBe(Math.min(...equal.map(sent)));
        }
      }
    }
  });

  it('gives every layer, and the loss, to one stage each', () => {
    const model = convnet();
    const cut = cutByCost(model, options(3));
    expect(cut.flatMap(({ layerNames }) => layerNames)).toEqual(namesOf(model));
    expect(cut.map(({ part }) => part.loss !== null)).toEqual([false, false, true]);
    expect(cut.reduce((sum, { parameterBytes }) => sum + parameterBytes, 0)).toBe(4 * layoutOf(model).length);
  });

  it('moves the cut where less passes when links are slow', () => {
    const sentOver = (bytesPerSecond: number): number =>
      cutByCost(convnet(), options(2, { bytesPerSecond }))[0]!.sentBytes;
    expect(sentOver(1e4)).toBe(8 * 10 * 4);
    expect(sentOver(1e12)).toBeGreaterThan(8 * 800 * 4);
  });

  it('refuses what does not fit, with the least that it would take', () => {
    const model = uneven();
    const needed = (numStages: number): number => {
      try {
        cutByCost(model, options(numStages, { memoryBytes: 1 }));
      } catch (error) {
        return (error as { details: { neededBytes: number } }).details.neededBytes;
      }
      throw new Error('Expected a refusal.');
    };
    for (const numStages of [1, 2, 4]) {
      const memoryBytes = needed(numStages);
      expect(() => cutByCost(model, options(numStages, { memoryBytes: memoryBytes - 1 }))).toThrow(
        new RegExp(`${numStages} stages to fit into .* needs ${(memoryBytes / 1e6).toFixed(1)} MB, of which`),
      );
      const cut = cutByCost(model, options(numStages, { memoryBytes }));
      expect(Math.max(...cut.map((stage) => stage.memoryBytes))).toBe(memoryBytes);
    }
    expect(needed(4)).toBeLessThan(needed(1) / 2);
  });

  it('refuses more stages than layers', () => {
    expect(() => cutByCost(uneven(), options(11))).toThrow(/1 to 10 stages .* got 11/);
  });
});

describe('cutByHand', () => {
  it('cuts before the layers that are named', () => {
    const cut = cutByHand(convnet(), ['conv2', 'flatten'], options(3));
    expect(cut.map(({ layerNames }) => layerNames[0])).toEqual(['conv1', 'conv2', 'flatten']);
    expect(cut.map(({ sentBytes }) => sentBytes)).toEqual([8 * 13 * 13 * 16 * 4, 8 * 800 * 4, 0]);
  });

  it.each([[['pool9', 'flatten']], [['flatten', 'conv2']], [['conv1', 'conv2']], [['conv2']]])(
    'refuses %j',
    (names) => {
      expect(() => cutByHand(convnet(), names, options(3))).toThrow(/Expected 2 layer/);
    },
  );

  it('refuses a stage that does not fit', () => {
    expect(() => cutByHand(convnet(), ['conv2'], options(2, { memoryBytes: 1e6 }))).toThrow(/stage 1 \(conv2,/);
  });
});
