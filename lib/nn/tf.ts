import type * as tfjs from '@tensorflow/tfjs';

/** The TensorFlow.js API, whatever backend stands behind it; passed in, since which one loads is the machine's affair. */
export type Tf = typeof tfjs;
export type { LayersModel, Rank, SymbolicTensor, Tensor, Tensor2D, Tensor4D } from '@tensorflow/tfjs';
