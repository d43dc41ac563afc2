import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isLookalikeError } from '../../../contracts/errors.ts';
import { readTorchStateDict } from '../../../infra/weights/torch-state-dict.ts';
import type { TensorSpec } from './pickle-writer.ts';
import { call, global, pickle, text, torchFile, tuple } from './pickle-writer.ts';

const WEIGHT: TensorSpec = { name: 'w', shape: [2, 3], strides: [3, 1], values: [1, 2, 3, 4, 5, 6] };

describe('readTorchStateDict', () => {
  it('reads tensors with their shapes', () => {
    const bias = { name: 'b', shape: [2], strides: [1], values: [7, 8] };
    expect(readTorchStateDict(torchFile([WEIGHT, bias]))).toEqual(
      new Map([
        ['w', { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
        ['b', { shape: [2], data: Float32Array.of(7, 8) }],
      ]),
    );
  });

  it('gathers a permuted tensor into row-major order', () => {
    const transposed = { ...WEIGHT, shape: [3, 2], strides: [1, 3] };
    expect(readTorchStateDict(torchFile([transposed])).get('w')!.data).toEqual(Float32Array.of(1, 4, 2, 5, 3, 6));
  });

  it('reads a tensor that starts inside its storage', () => {
    const part = { ...WEIGHT, shape: [2, 2], strides: [2, 1], offset: 2 };
    expect(readTorchStateDict(torchFile([part])).get('w')!.data).toEqual(Float32Array.of(3, 4, 5, 6));
  });

  it.each([
    ['os', 'system'],
    ['builtins', 'eval'],
    ['torch', 'DoubleStorage'],
  ])('refuses the name %s.%s, naming it, and calls nothing', (module, name) => {
    const hostile = torchFile([WEIGHT], global(module, name));
    expect(() => readTorchStateDict(hostile)).toThrow(`got "${module} ${name}"`);
  });

  it('refuses a call before the dict, where only plain data belongs', () => {
    const hostile = pickle(call(global('os', 'system'), tuple(text('echo pwned'))));
    expect(() => readTorchStateDict(hostile)).toThrow('got "os system"');
  });

  it.each([
    ['opcodes beyond data', Buffer.from([0x80, 2, 0x93, 0x2e]), 'got 0x93 at byte 2'],
    ['a newer protocol', Buffer.from([0x80, 5, 0x2e]), 'protocol 2 or 3, got 5'],
    ['an empty file', Buffer.alloc(0), 'the end of the file'],
    ['another magic number', pickle(text('PK')), 'magic number'],
    ['a cut-off string', Buffer.from([0x80, 2, 0x58, 0xff, 0xff, 0xff, 0x7f, 0x41]), "the file's end"],
    ['a tensor beyond its storage', torchFile([{ ...WEIGHT, shape: [3, 3] }]), 'inside its storage'],
    ['strides beyond the storage', torchFile([{ ...WEIGHT, strides: [1000, 1] }]), 'inside its storage'],
    [
      'a tensor larger than its storage',
      torchFile([{ ...WEIGHT, shape: [1_000_000_000], strides: [0] }]),
      'at most as many',
    ],
    ['a storage longer than the file', torchFile([{ ...WEIGHT, claimed: 2 ** 30 }]), "the file's end"],
    ['trailing bytes', Buffer.concat([torchFile([WEIGHT]), Buffer.of(0)]), 'Expected the file to end'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readTorchStateDict(bytes)).toThrow(message);
  });

  it('fails with a domain error, whatever byte is damaged', () => {
    const good = torchFile([WEIGHT]);
    const dataStart = good.length - 24;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: dataStart - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bad = Buffer.from(good);
        bad[at]! ^= flip;
        try {
          readTorchStateDict(bad);
        } catch (error) {
          expect(isLookalikeError(error), String(error)).toBe(true);
        }
      }),
      { numRuns: 500, seed: 3 },
    );
  });
});
