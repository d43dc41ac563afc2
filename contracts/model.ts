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
