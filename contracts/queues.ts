/** Task queues by kind of work; one process may poll several. */
export const TASK_QUEUES = {
  /** All workflows, and the quick activities that need only the stores. */
  orchestrator: 'lookalike-orchestrator',
  /** Head training and export; one slot per worker. */
  train: 'lookalike-train',
  /** Index builds and their self-checks. */
  build: 'lookalike-build',
  /** Neighbours of every item: apart from builds, so that a retrain never waits behind a nightly batch. */
  neighbours: 'lookalike-neighbours',
  /** Batch embedding. */
  embed: 'lookalike-embed',
} as const;

/** The queue of one index worker: shards are placed on a named host. */
export const searchQueue = (host: string): string => `lookalike-search-${host}`;
