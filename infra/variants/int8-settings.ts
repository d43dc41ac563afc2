import type { Calibration } from '../../lib/export/quantise/ranges.ts';

/** How an int8 variant is made; part of its derivation. */
export type Int8Settings = {
  calibration: Calibration;
  /** Pictures of the snapshot that ranges are measured on, at most. */
  numPictures: number;
  /** Largest magnitude of a weight; see `quantiseGraph`. */
  weightLevels: number;
  /** Convolutions that stay f32, by name. */
  keepFloat: string[];
};

/**
 * Weights keep to 63 levels: processors without VNNI instructions add pairs of u8 x i8 products within 16 bits and cut off what is
 * beyond, so that 127 levels would give other vectors there than elsewhere. What each setting costs: docs/results.md, "Models elsewhere".
 */
export const INT8_DEFAULTS: Int8Settings = {
  calibration: { kind: 'minMax' },
  numPictures: 128,
  weightLevels: 63,
  keepFloat: [],
};

/** How much recall@1 an int8 variant may lose unless an export says otherwise: what a retrain may lose by default. */
export const MAX_RECALL_DROP = 0.01;
