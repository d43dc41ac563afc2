import * as tf from '@tensorflow/tfjs';
import type { Rank, Tensor, Tensor2D, Tensor4D } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { finetune } from '../../../lib/finetune/finetune.ts';
import type { FinetuneState } from '../../../lib/finetune/state.ts';
import { FinetuneProgram } from '../../../lib/finetune/program.ts';
import { runStages, unitShapes } from '../../../lib/finetune/tail.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';
import { SMALL_CONFIG, SMALL_STAGES, smallCut, smallData, smallValues } from './small-network.ts';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const shapes = SMALL_STAGES.flatMap(({ units }) => units).flatMap(unitShapes);

function programOf(first: number, change: Partial<typeof SMALL_CONFIG> = {}): FinetuneProgram {
  const cut = smallCut(first);
  return new FinetuneProgram(tf, cut, smallValues(), smallData(cut), { ...SMALL_CONFIG, ...change });
}

describe('the stages that learn', () => {
  /** The same network by tfjs's own operations, whose gradients are tfjs's too. */
  function plainly(x: Tensor4D, w: Record<string, Tensor>): Tensor2D {
    const relu6 = (y: Tensor): Tensor4D => tf.clipByValue(y as Tensor4D, 0, 6);
    const one = (y: Tensor4D, name: string): Tensor4D => {
      const [inputs, out] = w[`${name}/kernel`]!.shape as [number, number];
      const kernel = tf.reshape<Rank.R4>(w[`${name}/kernel`]!, [1, 1, inputs, out]);
      return tf.add(tf.conv2d(y, kernel, 1, 'same'), w[`${name}/bias`]!);
    };
    const stem = relu6(tf.add(tf.conv2d(x, w['stem/kernel'] as Tensor4D, 2, 'same'), w['stem/bias']!));
    const wide = relu6(one(stem, 'expand'));
    const deep = relu6(
      tf.add(tf.depthwiseConv2d(wide, w['depthwise/kernel'] as Tensor4D, 1, 'same'), w['depthwise/bias']!),
    );
    return tf.mean(relu6(one(tf.add(stem, one(deep, 'project')), 'last')), [1, 2]);
  }

  it('compute what tfjs computes, and their gradients are the gradients of tfjs', () => {
    const values = smallValues();
    const input = tf.tensor4d(normals(2 * 36 * 3, randomOf('picture')), [2, 6, 6, 3]);
    const weights = shapes.map(({ name, shape }) => tf.tensor(values[name]!, shape));
    const gradientsOf = (run: (x: Tensor4D, w: Record<string, Tensor>) => Tensor2D) =>
      tf.valueAndGrads((...tensors: Tensor[]) => {
        const named = Object.fromEntries(shapes.map(({ name }, i) => [name, tensors[i]!]));
        return tf.sum(tf.square(run(input, named)));
      })(weights);
    const ours = gradientsOf((x, w) => runStages(tf, SMALL_STAGES, x, w));
    const theirs = gradientsOf(plainly);
    expect(ours.value.dataSync()[0]).toBeCloseTo(theirs.value.dataSync()[0]!, 4);
    shapes.forEach(({ name }, i) => {
      const [mine, other] = [ours.grads[i]!.dataSync(), theirs.grads[i]!.dataSync()];
      expect(mine.length).toBe(other.length);
      const largest = Math.max(...other.map(Math.abs));
      expect([name, largest > 1e-3]).toEqual([name, true]);
      mine.forEach((value, j) => expect(Math.abs(value - other[j]!)).toBeLessThan(1e-4 * Math.max(1, largest)));
    });
  });

  it('have, on top of what is frozen, the gradients that they have in the whole network', async () => {
    const values = smallValues();
    const whole = smallCut(0);
    const data = smallData(whole);
    // What stands at the cut is what the stages before it make of the pictures.
    const frozen = {
      read: async (rows: Int32Array): Promise<Float32Array> => {
        const pictures = await data.train.read(rows);
        return tf.tidy(() => {
          const x = tf.transpose(tf.tensor4d(pictures, [rows.length, 3, 6, 6]), [0, 2, 3, 1]);
          const stem = tf.conv2d(x, tf.tensor4d(values['stem/kernel']!, [3, 3, 3, 4]), 2, 'same');
          const y = tf.relu6(tf.add(stem, tf.tensor1d(values['stem/bias']!)));
          return Float32Array.from(tf.transpose(y, [0, 3, 1, 2]).dataSync());
        });
      },
    };
    const full = new FinetuneProgram(tf, whole, values, data, SMALL_CONFIG);
    const tail = new FinetuneProgram(tf, smallCut(1), values, { ...data, train: frozen }, SMALL_CONFIG);
    const [all, some] = [new Float32Array(full.parameters.length), new Float32Array(tail.parameters.length)];
    const losses = [await full.gradient(full.start, 0, all), await tail.gradient(tail.start, 0, some)];
    expect(losses[1]).toBeCloseTo(losses[0]!, 5);
    const shift = all.length - some.length;
    some.forEach((value, i) => expect(Math.abs(value - all[i + shift]!)).toBeLessThan(1e-4));
    expect(Math.max(...some.map(Math.abs))).toBeGreaterThan(0.01);
  });

  it('have the gradients that small differences show', async () => {
    const program = programOf(1, { dropout: 0 });
    const gradient = new Float32Array(program.parameters.length);
    await program.gradient(program.start, 0, gradient);
    const at = async (i: number, change: number): Promise<number> => {
      const moved = program.start.slice();
      moved[i]! += change;
      return program.gradient(moved, 0, new Float32Array(gradient.length));
    };
    for (const { name, offset, length } of program.parameters.list) {
      const i = offset + Math.floor(length / 2);
      const slope = ((await at(i, 2e-3)) - (await at(i, -2e-3))) / 4e-3;
      expect([name, Math.abs(slope - gradient[i]!) < 0.02 + 0.03 * Math.abs(slope)]).toEqual([name, true]);
    }
  });
});

describe('finetune', () => {
  it('learns more by moving the backbone than a head alone can', async () => {
    const both = await finetune(programOf(1, { epochs: 30 }), { ...SMALL_CONFIG, epochs: 30 });
    const still = { ...SMALL_CONFIG, epochs: 30, learningRate: 1e-9, headLearningRate: SMALL_CONFIG.headLearningRate };
    const head = await finetune(programOf(1, still), still);
    expect(both.lastLoss).toBeLessThan(head.lastLoss);
    expect(both.recallByEpoch).toHaveLength(30);
  });

  it('ends in the same bits after resuming from any checkpoint as uninterrupted', async () => {
    const states: FinetuneState[] = [];
    const whole = await finetune(programOf(1), SMALL_CONFIG, undefined, {
      onCheckpoint: (state) => {
        states.push(structuredClone(state));
        return Promise.resolve();
      },
    });
    expect(states.length).toBeGreaterThan(1);
    for (const state of states) expect(await finetune(programOf(1), SMALL_CONFIG, state)).toEqual(whole);
  });

  it('keeps the number of tensors over steps and leaves none behind', async () => {
    const before = tf.memory().numTensors;
    const counts = new Set<number>();
    await finetune(programOf(0), SMALL_CONFIG, undefined, { onStep: () => void counts.add(tf.memory().numTensors) });
    expect([...counts]).toEqual([before]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('draws the backbone towards where it started, not towards zero', async () => {
    const far = async (weightDecay: number): Promise<number> => {
      const program = programOf(1, { weightDecay });
      const { values } = await finetune(program, { ...SMALL_CONFIG, weightDecay });
      const { offset, length } = program.parameters.list[0]!;
      return Math.hypot(...values.slice(offset, offset + length).map((value, i) => value - program.start[offset + i]!));
    };
    expect(await far(20)).toBeLessThan(0.8 * (await far(0)));
  });

  it('keeps the asked share of the old weights, of the backbone alone', async () => {
    const [none, half] = [
      await finetune(programOf(1), SMALL_CONFIG),
      await finetune(programOf(1), { ...SMALL_CONFIG, keep: 0.5 }),
    ];
    const { parameters, start } = programOf(1);
    for (const { offset, length, isBackbone } of parameters.list) {
      for (let i = offset; i < offset + length; i++) {
        const expected = isBackbone ? (none.values[i]! + start[i]!) / 2 : none.values[i]!;
        expect(half.values[i]!).toBeCloseTo(expected, 5);
      }
    }
  });

  it('stops before the update that a non-finite value would spoil, leaving no tensor', async () => {
    const cut = smallCut(1);
    const data = smallData(cut);
    const spoilt = { ...data, train: { read: async (rows: Int32Array) => (await data.train.read(rows)).fill(NaN) } };
    const before = tf.memory().numTensors;
    const program = new FinetuneProgram(tf, cut, smallValues(), spoilt, SMALL_CONFIG);
    await expect(finetune(program, SMALL_CONFIG)).rejects.toMatchObject({ code: 'nonFinite' });
    expect(tf.memory().numTensors).toBe(before);
  });

  it('ends at the step where it was cancelled', async () => {
    const abort = new AbortController();
    let steps = 0;
    const run = finetune(programOf(1), SMALL_CONFIG, undefined, {
      signal: abort.signal,
      onStep: () => void (++steps === 3 && abort.abort()),
    });
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    expect(steps).toBe(3);
  });
});
