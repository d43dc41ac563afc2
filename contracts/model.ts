/** How a picture becomes the model's input; part of the model artefact, one code path for training, batch and query. */
export interface Preprocessing {
  /** Scale the shorter side to this many pixels, then centre-crop `size` x `size`. */
  resizeShorterSide: number;
  size: number;
  /** Per channel RGB: (value - mean) / std, value in 0..255. */
  mean: [number, number, number];
  std: [number, number, number];
  /** Transparent pixels are flattened onto this colour. */
  background: [number, number, number];
}

/** How a model's weights are kept. Other than fp32 are variants: model artefacts of their own, each made from an fp32 one. */
export const PRECISIONS = ['fp32', 'fp16', 'int8'] as const;
export type Precision = (typeof PRECISIONS)[number];

/**
 * A model artefact always has `backbone.onnx` (input `image` f32 [1,3,size,size], output `features` f32 [1,featureDim]).
 * With a head it also has `head.onnx` (`features` [1,featureDim] -> `embedding` [1,dim], L2-normalised) and
 * `model.onnx` (both in one graph, for deployment elsewhere). A stage `backbone` model emits raw features.
 */
export interface ModelSummary {
  stage: 'backbone' | 'embedding';
  /** For people: `efficientnet-lite0`, `efficientnet-lite0 + projection 256`. */
  name: string;
  /** Length of the output vector: `featureDim` for a backbone. */
  dim: number;
  featureDim: number;
  preprocessing: Preprocessing;
  /** The backbone model artefact whose cached features this head reads; itself for a backbone. */
  backbone: string | null;
  /** Absent for fp32. */
  precision?: Precision;
}

/**
 * Of a variant, measured on the snapshot that it was calibrated on and kept among its metrics: what its vectors cost. Both sides
 * by the variant is serving by it; only queries by it is a query embedded on a device, against the catalogue of its model.
 */
export interface VariantQuality {
  numQueries: number;
  numCatalogue: number;
  recallAt1: { model: number; variant: number; variantQueries: number } | null;
  maxRecallDrop: number;
  /** Whether it may make the catalogue's vectors and the queries' in its model's place. */
  mayServe: boolean;
  /** Whether it may make queries for a catalogue embedded by its model. */
  mayQuery: boolean;
  /** Why not. */
  reasons: string[];
}

/**
 * An embeddings artefact: `vectors.f32` is row-major little-endian f32 [numImages * views, dim]; row i*views+v is view v of
 * the i-th line of `images.txt` (sorted SHA-256s). View 0 is the plain preprocessing; the others are seeded augmentations.
 * `rejected.jsonl` lists the images that could not be decoded, with the reason.
 */
export interface EmbeddingsSummary {
  numImages: number;
  numRejected: number;
  views: number;
  dim: number;
  normalised: boolean;
}
