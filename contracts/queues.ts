/** Task queues by kind of work; one process may poll several. */
export const TASK_QUEUES = {
  /** All workflows, and the quick activities that need only the stores. */
  orchestrator: 'lookalike-orchestrator',
  /** Head training and export; one slot per worker. */
  train: 'lookalike-train',
  /** Replicas of data-parallel trainings, and parts of models that are cut. */
  replicas: 'lookalike-replicas',
  /** Parameter shards of data-parallel trainings. */
  parameters: 'lookalike-parameters',
  /** Index builds and their self-checks. */
  build: 'lookalike-build',
  /** Neighbours of every item: apart from builds, so that a retrain never waits behind a nightly batch. */
  neighbours: 'lookalike-neighbours',
  /** Batch embedding. */
  embed: 'lookalike-embed',
} as const;

/** The queue of one index worker: shards are placed on a named host. */
export const searchQueue = (host: string): string => `lookalike-search-${host}`;

/**
 * How a trainer takes parts of trainings on several processes. A part waits for the others of its run, so a part without a slot would
 * hold up a run whose parts hold the slots that another one waits for; slots for far more runs than memory allows leave no such
 * knot. One poll at a time leaves the next part to whichever trainer asks first.
 */
export const PART_SLOTS = { maxConcurrentActivityTaskExecutions: 1000, maxConcurrentActivityTaskPolls: 1 } as const;
