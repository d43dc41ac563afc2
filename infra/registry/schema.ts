/** The tables as both databases hold them. JSON is text, times are ISO 8601 text: both read back exactly what was written. */
export interface Tables {
  items: {
    catalogue: string;
    id: string;
    image: string;
    category: string | null;
    label: string | null;
    title: string | null;
    /** Canonical JSON: equal attributes are equal text. */
    attributes: string;
    /** The item's latest change, and the latest that brought another picture. */
    seq: number;
    image_seq: number;
  };
  /** Deleted and not there again. */
  deleted_items: { catalogue: string; id: string; seq: number };
  /** The newest sequence number of each catalogue. */
  catalogue_seqs: { catalogue: string; seq: number };
  snapshots: { catalogue: string; artifact: string; seq: number };
  /** Base64 of little-endian f32; null with the reason why the picture cannot be used. */
  picture_vectors: { catalogue: string; model: string; image: string; vector: string | null; reason: string | null };
  idempotency_keys: { catalogue: string; key: string; request: string; answer: string; at: string };
  examples: { catalogue: string; id: string; image: string; label: string; split: 'train' | 'holdout' };
  generations: {
    catalogue: string;
    number: number;
    status: string;
    snapshot: string;
    model: string | null;
    embeddings: string | null;
    index_artifact: string | null;
    metrics: string;
    workflow_id: string;
    workflow_run_id: string;
    created_at: string;
    /** Filled in by the switch: what a router must know of the model and the index. */
    dim: number | null;
    num_shards: number | null;
    /** The generation that the latest switch to this one retired. */
    replaced: number | null;
  };
  /** One row per switch of the serving generation; `seq` grows by one within a catalogue. */
  switches: {
    catalogue: string;
    seq: number;
    generation: number;
    previous: number | null;
    how: string;
    ordered_by: string;
    reason: string | null;
    at: string;
  };
  hosts: { host: string; kind: string; url: string; task_queue: string };
  endpoints: {
    catalogue: string;
    generation: number;
    shard: number;
    replica: number;
    url: string;
    host: string;
    artifact: string;
  };
  checkpoints: { run: string; step: number; artifact: string };
  training_shards: { run: string; shard: number; url: string; attempt: number };
  similar_items: { catalogue: string; index_artifact: string; artifact: string };
  /** `seq` grows by one within a catalogue's model. */
  query_samples: { catalogue: string; model: string; seq: number; vector: string };
  api_keys: { id: string; name: string; scopes: string; hash: string; created_at: string };
  schema_version: { version: number };
}
