import type { Kernels } from '../kernels/kernels.ts';
import { addTransposed, multiply, placeMatrix, transpose } from './matrix.ts';
import type { Matrix } from './matrix.ts';

/** Softness of the softmax over products of codes, -1..1. */
const CODE_TEMPERATURE = 0.05;
/** Softness of the softmax over distances of rows, in squared distances of a 10th neighbour. */
const ROW_TEMPERATURE = 0.25;
/** Weights of the quantisation loss (|h| - 1)^2 and of the balance loss mean(h)^2, both over bits. */
const QUANTISATION = 0.1;
const BALANCE = 0.01;

/**
 * How well a group of rows keeps its neighbours as codes h = tanh(x W + b). Every row has a distribution over the others: the
 * softmax of their distances, and the softmax of the products of codes. The loss is the cross-entropy between the two (as in
 * stochastic neighbour embedding, Hinton & Roweis 2002), plus quantisation and balance.
 */
export class NeighbourLoss {
  readonly #kernels: Kernels;
  readonly #size: number;
  readonly #codes: Matrix;
  readonly #transposedCodes: Matrix;
  readonly #products: Matrix;
  readonly #transposedRows: Matrix;
  readonly #slopes: Matrix;
  readonly #rowUnit: number;

  /** `rowUnit`: the typical squared distance of a 10th neighbour. */
  constructor(kernels: Kernels, size: number, dim: number, bits: number, rowUnit: number) {
    this.#kernels = kernels;
    this.#size = size;
    this.#codes = placeMatrix(kernels, size, bits);
    this.#transposedCodes = placeMatrix(kernels, bits, size);
    this.#products = placeMatrix(kernels, size, size);
    this.#transposedRows = placeMatrix(kernels, dim, size);
    this.#slopes = placeMatrix(kernels, size, bits);
    this.#rowUnit = rowUnit;
  }

  /** Adds the gradients for a group (f32 [size, dim]) to `weightSlopes` [dim, bits] and `biasSlopes` [bits]; returns the loss. */
  add(group: Matrix, weights: Matrix, bias: Float32Array, weightSlopes: Matrix, biasSlopes: Float32Array): number {
    const kernels = this.#kernels;
    const n = this.#size;
    const codes = multiply(kernels, group, weights, this.#codes);
    const { cols: bits, data: h } = codes;
    const targets = this.#targets(group);
    for (let i = 0; i < h.length; i++) h[i] = Math.tanh(h[i]! + bias[i % bits]!);
    const products = multiply(kernels, codes, transpose(codes, this.#transposedCodes), this.#products).data;
    const sharpness = 1 / (bits * CODE_TEMPERATURE);
    let loss = 0;
    const row = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) row[j] = products[i * n + j]! * sharpness;
      softmaxBut(row, i);
      for (let j = 0; j < n; j++) {
        const target = targets[i * n + j]!;
        if (target > 0) loss -= (target * Math.log(row[j]! + 1e-30)) / n;
        products[i * n + j] = (row[j]! - target) / n;
      }
    }
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < i; j++) {
        const both = (products[i * n + j]! + products[j * n + i]!) * sharpness;
        products[i * n + j] = both;
        products[j * n + i] = both;
      }
    }
    const slopes = multiply(kernels, this.#products, codes, this.#slopes).data;
    const means = new Float32Array(bits);
    for (let i = 0; i < h.length; i++) means[i % bits]! += h[i]! / n;
    const perBit = 1 / (n * bits);
    for (let i = 0; i < h.length; i++) {
      const value = h[i]!;
      const mean = means[i % bits]!;
      const excess = Math.abs(value) - 1;
      loss += perBit * (QUANTISATION * excess * excess + BALANCE * mean * mean);
      const shaped = QUANTISATION * excess * Math.sign(value) + BALANCE * mean;
      slopes[i] = (slopes[i]! + 2 * perBit * shaped) * (1 - value * value);
      biasSlopes[i % bits]! += slopes[i]!;
    }
    addTransposed(kernels, group, this.#slopes, weightSlopes);
    return loss;
  }

  /** f32 [size, size]: for each row the distribution over the others that its codes should show. */
  #targets(group: Matrix): Float32Array {
    const n = this.#size;
    const { data } = multiply(this.#kernels, group, transpose(group, this.#transposedRows), this.#products);
    const out = Float32Array.from(data);
    const squares = Float32Array.from({ length: n }, (_, i) => data[i * n + i]!);
    for (let i = 0; i < n; i++) {
      const row = out.subarray(i * n, (i + 1) * n);
      for (let j = 0; j < n; j++)
        row[j] = (2 * row[j]! - squares[i]! - squares[j]!) / (this.#rowUnit * ROW_TEMPERATURE);
      softmaxBut(row, i);
    }
    return out;
  }
}

/** Softmax in place over all but one entry, which becomes 0. */
function softmaxBut(values: Float32Array, except: number): void {
  let greatest = -Infinity;
  for (let j = 0; j < values.length; j++) if (j !== except && values[j]! > greatest) greatest = values[j]!;
  let sum = 0;
  for (let j = 0; j < values.length; j++) sum += values[j] = j === except ? 0 : Math.exp(values[j]! - greatest);
  for (let j = 0; j < values.length; j++) values[j]! /= sum;
}
