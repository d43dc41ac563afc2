import type { CropBox, PixelBox } from '../contracts/crop.ts';
import type { InjectionToken } from '@nestjs/common';
import type { BlobStore } from '../contracts/artifacts.ts';
import type { DeltaStatus } from '../contracts/changes.ts';
import type { Registry } from '../contracts/registry.ts';
import type { RetrainRule, RetrainSchedule, ScheduleTrigger } from '../contracts/schedules.ts';
import type { EmbedTimings, RoutingTable } from '../contracts/serving.ts';
import type { LiveTraining } from '../contracts/data-parallel.ts';
import type { RetrainConfig } from '../contracts/training.ts';
import type { TuneOutput, TuneView } from '../contracts/tuning.ts';
import type { SimilarConfig } from '../contracts/similar.ts';
import type { RetrainOutput, RetrainProgress } from '../contracts/workflows.ts';
import type { LineageNode } from '../infra/artifacts/lineage.ts';
import type { Calibrations } from '../infra/calibration/calibrations.ts';
import type { Switched, SwitchWish } from '../infra/generations/promote.ts';
import type { RouterAnswer, RouterQuery } from '../infra/router/router.ts';
import type { SimilarReader } from '../infra/similar/similar-reader.ts';
import type { TuneRequest } from '../infra/tune/schema.ts';
import type { DeviceModels } from '../infra/variants/device-models.ts';
import type { Logger } from '../infra/log/logger.ts';
import type { ApiSettings } from './settings.ts';

export interface SearcherQuery extends Omit<RouterQuery, 'vector' | 'model' | 'signal' | 'deadlineMs'> {
  /** Makes the query's vector for the generation that will answer; called again when another comes to serve meanwhile. */
  vector: (table: RoutingTable) => Promise<Float32Array>;
  signal: AbortSignal;
  deadlineMs: number;
}

/** Its `timingsMs.route` includes the time that `vector` took. */
export type SearcherAnswer = RouterAnswer;

/** Asks all shards of the serving generation and merges what they answer. */
export interface Searcher {
  /** @throws LookalikeError `notFound` when nothing serves | `unavailable` | `dimensionMismatch` | `nonFinite` | `timeout` | `cancelled` */
  search(query: SearcherQuery): Promise<SearcherAnswer>;
  /** The vector that the table's generation stores for an item; undefined when it holds no such item. */
  vectorOf(table: RoutingTable, itemId: string, signal: AbortSignal): Promise<Float32Array | undefined>;
  /**
   * How far changes are searched in all replicas that answer; undefined while no generation serves.
   * @throws LookalikeError `unavailable` when a shard does not answer
   */
  deltaStatus(catalogue: string): Promise<(DeltaStatus & { generation: number }) | undefined>;
  /** Those of several items, by id; what the generation does not hold is left out. @throws LookalikeError `unavailable` | `timeout` */
  vectorsOf(table: RoutingTable, itemIds: readonly string[], signal: AbortSignal): Promise<Map<string, Float32Array>>;
  /** Undefined while no generation serves. */
  currentTable(catalogue: string): Promise<RoutingTable | undefined>;
}

/** Turns a picture, or a part of it, into a vector with the named model. */
export interface Embedder {
  /** @throws LookalikeError `imageRejected` | `invalidInput` | `unavailable` | `overloaded` | `timeout` | `cancelled` */
  embed(
    model: string,
    bytes: Uint8Array,
    options: { crop?: CropBox; signal: AbortSignal },
  ): Promise<{ vector: Float32Array; timingsMs: EmbedTimings; crop?: PixelBox }>;
}

/** Reads a picture from a URL. @throws LookalikeError `forbiddenUrl` | `imageRejected` | `unavailable` | `timeout` */
export type ImageFetcher = (url: string, signal: AbortSignal) => Promise<Buffer>;

/** What a caller may say about a retraining run; the rest comes from the recipe. */
export interface RetrainRequest {
  recipe?: string;
  /** Overrides as a tree, shaped like the recipe's configuration. */
  config?: Record<string, unknown>;
  /** Overrides as `path.to.key=value`. */
  set?: string[];
  force: boolean;
  /** Recorded with the generation. */
  reason?: string;
}

export interface RetrainStarted {
  workflowId: string;
  runId: string;
  /** False when a run was already under way and is reported instead. */
  started: boolean;
  temporalUrl: string;
}

/** The newest retraining run of a catalogue. */
export interface RetrainStatus {
  workflowId: string;
  runId: string;
  status: 'running' | 'completed' | 'failed' | 'cancelled';
  /** ISO 8601. */
  startedAt: string;
  closedAt: string | null;
  steps: RetrainProgress['steps'];
  /** Live figures of training while it runs. */
  training: LiveTraining | null;
  output: RetrainOutput | null;
  failure: string | null;
  temporalUrl: string;
}

/** Starts and follows retraining. All calls throw LookalikeError `unavailable` while Temporal does not answer. */
export interface Retrainer {
  /**
   * @param by who asks, for the record
   * @throws LookalikeError `invalidInput` when recipe or overrides do not make a configuration
   */
  start(catalogue: string, request: RetrainRequest, by: string): Promise<RetrainStarted>;
  /** Undefined when the catalogue was never retrained (as far as Temporal still remembers). */
  status(catalogue: string): Promise<RetrainStatus | undefined>;
  recipes(): { name: string; about: string; config: RetrainConfig }[];
}

/** A search as a caller describes it: what every trial starts from, and what is varied. */
export type TuneWish = Pick<RetrainRequest, 'recipe' | 'config' | 'set'> & TuneRequest;

/** The newest search for hyper-parameters of a catalogue. */
export interface TuneStatus extends Pick<
  RetrainStatus,
  'workflowId' | 'runId' | 'status' | 'startedAt' | 'closedAt' | 'failure' | 'temporalUrl'
> {
  /** Null while no orchestrator answers. */
  view: TuneView | null;
  /** Also of a search that was cancelled, where it had a best so far. */
  output: TuneOutput | null;
}

/** Searches for hyper-parameters. All calls throw LookalikeError `unavailable` while Temporal does not answer. */
export interface Tuner {
  /** @throws LookalikeError `invalidInput` with every contradiction */
  start(catalogue: string, wish: TuneWish): Promise<RetrainStarted>;
  /** Undefined when nothing was ever tuned (as far as Temporal still remembers). */
  status(catalogue: string): Promise<TuneStatus | undefined>;
  /** Asks it to stop. @throws LookalikeError `notFound` */
  cancel(catalogue: string): Promise<void>;
}

/** Batches of neighbours. All calls throw LookalikeError `unavailable` while Temporal does not answer. */
export interface SimilarStarter {
  start(catalogue: string, config: SimilarConfig): Promise<RetrainStarted>;
}

/** Makes a generation that served before serve again. All calls throw LookalikeError `unavailable` while Temporal does not answer. */
export interface Switcher {
  /** @throws LookalikeError `notFound` | `conflict` */
  promote(wish: SwitchWish, generation: number): Promise<Switched>;
  /** @throws LookalikeError `notFound` | `conflict` */
  rollBack(wish: SwitchWish, to: number | null): Promise<Switched>;
}

export interface ScheduleRequest extends Omit<RetrainRequest, 'force' | 'reason'> {
  rule: RetrainRule;
}

export type ScheduleAction = 'pause' | 'resume' | 'trigger';

/** Retraining without being asked. All calls throw LookalikeError `unavailable` while Temporal does not answer. */
export interface Scheduler {
  list(catalogue: string): Promise<RetrainSchedule[]>;
  /** @throws LookalikeError `invalidInput` */
  set(catalogue: string, request: ScheduleRequest): Promise<{ id: string; created: boolean }>;
  /** @throws LookalikeError `notFound` */
  act(catalogue: string, trigger: ScheduleTrigger, action: ScheduleAction, by: string): Promise<void>;
  /** @throws LookalikeError `notFound` */
  remove(catalogue: string, trigger: ScheduleTrigger): Promise<void>;
}

/** What the named artefacts were made from; each artefact once over all trees. */
export type Lineage = (roots: readonly (readonly [role: string, id: string])[]) => Promise<LineageNode[]>;

/** Everything the API stands on; `main.ts` brings the real ones, tests bring strict fakes. */
export interface ApiPorts {
  registry: Registry;
  blobs: BlobStore;
  searcher: Searcher;
  embedder: Embedder;
  fetchImage: ImageFetcher;
  retrainer: Retrainer;
  switcher: Switcher;
  tuner: Tuner;
  scheduler: Scheduler;
  similar: SimilarReader;
  calibrations: Calibrations;
  similarStarter: SimilarStarter;
  deviceModels: DeviceModels;
  lineage: Lineage;
  logger: Logger;
}

const token = <T>(name: string): InjectionToken<T> => Symbol(name);

export const REGISTRY = token<Registry>('Registry');
export const BLOBS = token<BlobStore>('BlobStore');
export const SEARCHER = token<Searcher>('Searcher');
export const EMBEDDER = token<Embedder>('Embedder');
export const IMAGE_FETCHER = token<ImageFetcher>('ImageFetcher');
export const RETRAINER = token<Retrainer>('Retrainer');
export const SWITCHER = token<Switcher>('Switcher');
export const TUNER = token<Tuner>('Tuner');
export const SCHEDULER = token<Scheduler>('Scheduler');
export const SIMILAR = token<SimilarReader>('SimilarReader');
export const CALIBRATIONS = token<Calibrations>('Calibrations');
export const SIMILAR_STARTER = token<SimilarStarter>('SimilarStarter');
export const DEVICE_MODELS = token<DeviceModels>('DeviceModels');
export const LINEAGE = token<Lineage>('Lineage');
export const LOGGER = token<Logger>('Logger');
export const SETTINGS = token<ApiSettings>('ApiSettings');
