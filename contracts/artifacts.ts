import type { Json, JsonObject } from './json.ts';

/** What an artefact is. An artefact is immutable and names everything it was made from. */
export const ARTIFACT_KINDS = [
  /** Catalogue items and examples at one moment: `items.jsonl`. */
  'snapshot',
  /** Weights and graphs: `backbone.onnx`, `head.onnx`, `model.onnx`; see ModelSummary. */
  'model',
  /** Optimiser and weights in mid-training; the resume point of `train`. */
  'checkpoint',
  /** Which images of a snapshot a model has still to embed: `todo.txt`. */
  'embeddingPlan',
  /** Vectors of one chunk of a plan. */
  'embeddingChunk',
  /** One vector per distinct image (and view): `vectors.f32`, `images.txt`; see EmbeddingsSummary. */
  'embeddings',
  /** One searchable part of an index. */
  'shard',
  /** Which index was chosen for `auto`, and what was measured: `measured.json`. */
  'indexChoice',
  /** The manifest of all shards of one generation: inputs name them `shard0`, `shard1`, … */
  'index',
  /** Nearest neighbours of one chunk of an index's items. */
  'similarChunk',
  /** Nearest neighbours of every item of an index; see SimilarSummary. */
  'similarItems',
  /** Measured quality of a model on a frozen query set: `queries.jsonl`; see QueryOutcome. */
  'evaluation',
  /** A candidate against the serving and the untrained model, query by query, on one frozen set. */
  'comparison',
  /** A hyper-parameter search: every trial, its curve and model, and drawings of them. */
  'tuning',
] as const;
export type ArtifactKind = (typeof ARTIFACT_KINDS)[number];

/** `<kind>-<first 32 hex digits of the SHA-256 of the canonical manifest>`. */
export type ArtifactId = string;

export interface ArtifactFile {
  /** Lower-case hex SHA-256 of the bytes: also the blob's name in the store. */
  sha256: string;
  sizeBytes: number;
}

/** What decides an artefact's content: equal derivations may be reused instead of computed again. */
export interface Derivation {
  kind: ArtifactKind;
  /** Role -> artefact (or `sha256:` blob) it was made from. */
  inputs: Record<string, string>;
  /** The resolved configuration, defaults filled in. */
  config: JsonObject;
  seed: number | null;
}

/** The hashed content of an artefact. Holds no clock, host or path, so equal work gives equal ids. */
export interface ArtifactManifest extends Derivation {
  formatVersion: 1;
  /** Version of the code that made it. */
  codeVersion: string;
  /** Kind-specific facts a reader needs before opening files (shape, dtype, preprocessing). */
  summary: JsonObject;
  metrics: Record<string, Json>;
  files: Record<string, ArtifactFile>;
}

export interface Artifact {
  id: ArtifactId;
  manifest: ArtifactManifest;
}

export type FileSource = { path: string } | { bytes: Uint8Array };

export interface ArtifactDraft extends Derivation {
  summary: JsonObject;
  metrics: Record<string, Json>;
  files: Record<string, FileSource>;
}

/** Immutable artefacts, on a folder or an S3-compatible store. Publishing is atomic: manifest last. */
export interface ArtifactStore {
  /** Stores files, then the manifest, then the derivation's entry. Publishing the same content twice is a no-op. */
  publish(draft: ArtifactDraft): Promise<Artifact>;
  /** The artefact already made from this derivation (by this code version), if any. */
  find(derivation: Derivation): Promise<Artifact | undefined>;
  /** @throws LookalikeError `notFound` | `corruptArtifact` */
  get(id: ArtifactId): Promise<Artifact>;
  /** A local path to the file, its checksum verified. @throws LookalikeError `notFound` | `corruptArtifact` */
  materialise(id: ArtifactId, file: string): Promise<string>;
  /** Newest first, with the time the store first saw each (ISO 8601). */
  list(kind?: ArtifactKind): Promise<(Artifact & { storedAt: string })[]>;
}

/** Content-addressed bytes: catalogue pictures. Shares its space with the artefacts' files. */
export interface BlobStore {
  /** Returns the lower-case hex SHA-256. Atomic and idempotent. */
  put(bytes: Uint8Array): Promise<string>;
  /** @throws LookalikeError `notFound` | `corruptArtifact` */
  get(sha256: string): Promise<Buffer>;
  has(sha256: string): Promise<boolean>;
}
