import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import envPaths from 'env-paths';
import { z } from 'zod';
import { LookalikeError } from '../../contracts/errors.ts';

const port = z.coerce.number().int().min(0).max(65_535);

/** Every environment variable the project reads, with its default and meaning. The only file that touches process.env. */
const Env = z.object({
  /** Registry, artefacts, Temporal's database and run state of this installation. */
  LOOKALIKE_DATA_DIR: z.string().min(1).default('.lookalike'),
  /** Provisioned binaries and weights, shared by all checkouts of this user. */
  LOOKALIKE_CACHE_DIR: z
    .string()
    .min(1)
    .default(() => envPaths('lookalike', { suffix: '' }).cache),
  /** `postgres://…` makes PostgreSQL the registry; otherwise SQLite in the data directory. */
  DATABASE_URL: z.string().optional(),
  /** A folder, or `s3://bucket/prefix`. Default: `artifacts` in the data directory. */
  LOOKALIKE_ARTIFACTS: z.string().optional(),
  LOOKALIKE_S3_ENDPOINT: z.url().optional(),
  LOOKALIKE_S3_REGION: z.string().default('us-east-1'),
  /** Bytes that local copies of files from S3 may take. */
  LOOKALIKE_S3_CACHE_BYTES: z.coerce
    .number()
    .int()
    .min(1)
    .default(10 * 1024 ** 3),
  AWS_ACCESS_KEY_ID: z.string().optional(),
  AWS_SECRET_ACCESS_KEY: z.string().optional(),
  AWS_SESSION_TOKEN: z.string().optional(),
  /** Where the API listens. Anything but a loopback address demands API keys. */
  LOOKALIKE_HOST: z.string().default('127.0.0.1'),
  LOOKALIKE_PORT: port.default(7700),
  /** Requests a minute that the API takes from one key, or from one address where there is none. */
  LOOKALIKE_RATE_LIMIT: z.coerce.number().int().min(1).default(6000),
  /** Searches that take so many milliseconds are logged with their stages; 0: none. */
  LOOKALIKE_SLOW_SEARCH_MS: z.coerce.number().int().min(0).default(1000),
  /** Milliseconds between two live searches that are answered once more, exactly, to measure recall; 0: never. */
  LOOKALIKE_RECALL_CHECK_MS: z.coerce.number().int().min(0).default(5000),
  /** `on` demands API keys on loopback too. */
  LOOKALIKE_AUTH: z.enum(['auto', 'on']).default('auto'),
  /** The key that `lookalike search` shows an API that demands one. */
  LOOKALIKE_API_KEY: z.string().optional(),
  /** An existing Temporal server; when absent, `lookalike up` starts one. */
  TEMPORAL_ADDRESS: z.string().optional(),
  TEMPORAL_NAMESPACE: z.string().default('default'),
  /** A profile of the user's temporal.toml: address, TLS, API key of a cluster or Temporal Cloud. */
  TEMPORAL_PROFILE: z.string().optional(),
  /** Ports of the Temporal server that `lookalike up` starts. */
  LOOKALIKE_TEMPORAL_PORT: port.default(7233),
  LOOKALIKE_TEMPORAL_UI_PORT: port.default(8233),
  /** Public address of the Temporal UI, for links. */
  TEMPORAL_UI_URL: z.string().optional(),
  /** Shared secret of API, index workers and embed workers. Generated in the data directory when absent. */
  LOOKALIKE_DATA_PLANE_TOKEN: z.string().min(16).optional(),
  /** Address that data-plane endpoints bind to and announce. */
  LOOKALIKE_DATA_PLANE_HOST: z.string().default('127.0.0.1'),
  /** This process's name among workers; part of its task queue. */
  LOOKALIKE_WORKER_NAME: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]*$/)
    .optional(),
  /** First choice of the TensorFlow.js backend chain; `auto` tries gpu, node, wasm, cpu in that order. */
  LOOKALIKE_BACKEND: z.enum(['auto', 'gpu', 'node', 'wasm', 'cpu']).default('auto'),
  /** ONNX Runtime execution provider; `auto` takes CUDA when it loads. */
  LOOKALIKE_EXECUTION_PROVIDER: z.enum(['auto', 'cuda', 'cpu']).default('auto'),
  /** Threads that embed pictures, one inference session each. */
  LOOKALIKE_EMBED_THREADS: z.coerce.number().int().min(1).max(256).default(availableParallelism()),
  /** Prometheus endpoint of this process's Temporal runtime; 0 switches it off. */
  LOOKALIKE_METRICS_PORT: port.default(0),
  LOOKALIKE_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  /** Hosts that image URLs may name, comma separated; `*` allows every public address. Empty: no fetching by URL. */
  LOOKALIKE_IMAGE_HOSTS: z.string().default(''),
});

type RawEnv = z.output<typeof Env>;

/** The validated configuration of one process; frozen, passed on, never read from the environment again. */
export interface Config {
  dataDir: string;
  cacheDir: string;
  databaseUrl: string | null;
  artifacts:
    | { kind: 'folder'; path: string }
    | {
        kind: 's3';
        bucket: string;
        prefix: string;
        endpoint: string | null;
        region: string;
        accessKeyId: string | null;
        secretAccessKey: string | null;
        /** What makes temporary keys valid; absent for lasting ones. */
        sessionToken: string | null;
        /** Bytes that local copies of files may take, about. */
        cacheBytes: number;
      };
  api: {
    host: string;
    port: number;
    auth: 'auto' | 'on';
    key: string | null;
    requestsPerMinute: number;
    slowSearchMs: number;
    recallCheckMs: number;
  };
  temporal: {
    address: string | null;
    /** A profile of temporal.toml; without one that file is not read, so that it cannot redirect a local run. */
    profile: string | null;
    namespace: string;
    port: number;
    uiPort: number;
    uiUrl: string;
  };
  dataPlane: { host: string; token: string };
  workerName: string;
  backend: RawEnv['LOOKALIKE_BACKEND'];
  executionProvider: RawEnv['LOOKALIKE_EXECUTION_PROVIDER'];
  embedThreads: number;
  metricsPort: number;
  logLevel: RawEnv['LOOKALIKE_LOG_LEVEL'];
  imageHosts: string[];
}

/** Reads and validates the environment as a whole. @throws LookalikeError `invalidInput` naming each bad variable */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const parsed = Env.safeParse(Object.fromEntries(Object.entries(env).filter(([, value]) => value !== '')));
  if (!parsed.success) {
    throw new LookalikeError('invalidInput', `The environment is not usable.\n${z.prettifyError(parsed.error)}`);
  }
  const raw = parsed.data;
  const dataDir = resolve(raw.LOOKALIKE_DATA_DIR);
  const temporalUi = raw.TEMPORAL_UI_URL ?? `http://127.0.0.1:${raw.LOOKALIKE_TEMPORAL_UI_PORT}`;
  return Object.freeze({
    dataDir,
    cacheDir: resolve(raw.LOOKALIKE_CACHE_DIR),
    databaseUrl: raw.DATABASE_URL ?? null,
    artifacts: artifactLocation(raw, dataDir),
    api: {
      host: raw.LOOKALIKE_HOST,
      port: raw.LOOKALIKE_PORT,
      auth: raw.LOOKALIKE_AUTH,
      requestsPerMinute: raw.LOOKALIKE_RATE_LIMIT,
      slowSearchMs: raw.LOOKALIKE_SLOW_SEARCH_MS,
      recallCheckMs: raw.LOOKALIKE_RECALL_CHECK_MS,
      key: raw.LOOKALIKE_API_KEY ?? null,
    },
    temporal: {
      address: raw.TEMPORAL_ADDRESS ?? null,
      profile: raw.TEMPORAL_PROFILE ?? null,
      namespace: raw.TEMPORAL_NAMESPACE,
      port: raw.LOOKALIKE_TEMPORAL_PORT,
      uiPort: raw.LOOKALIKE_TEMPORAL_UI_PORT,
      uiUrl: temporalUi.replace(/\/$/, ''),
    },
    dataPlane: {
      host: raw.LOOKALIKE_DATA_PLANE_HOST,
      token: raw.LOOKALIKE_DATA_PLANE_TOKEN ?? installationToken(dataDir),
    },
    workerName:
      raw.LOOKALIKE_WORKER_NAME ??
      `${hostname()
        .toLowerCase()
        .replace(/[^a-z0-9.-]/g, '-')}-${process.pid}`,
    backend: raw.LOOKALIKE_BACKEND,
    executionProvider: raw.LOOKALIKE_EXECUTION_PROVIDER,
    embedThreads: raw.LOOKALIKE_EMBED_THREADS,
    metricsPort: raw.LOOKALIKE_METRICS_PORT,
    logLevel: raw.LOOKALIKE_LOG_LEVEL,
    imageHosts: raw.LOOKALIKE_IMAGE_HOSTS.split(',')
      .map((host) => host.trim())
      .filter(Boolean),
  });
}

/** The environment for a child process: this one's, with the given overrides. */
export function childEnv(overrides: Record<string, string>): NodeJS.ProcessEnv {
  return { ...process.env, ...overrides };
}

/**
 * Sets variables that a native library reads when it loads and that are not set yet. Native code sees only what the main
 * thread sets: whoever starts a worker thread for it calls this first, whoever starts a process passes `childEnv`.
 */
export function setNativeEnv(defaults: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(defaults)) process.env[name] ??= value;
}

function artifactLocation(raw: RawEnv, dataDir: string): Config['artifacts'] {
  const where = raw.LOOKALIKE_ARTIFACTS ?? join(dataDir, 'artifacts');
  if (!where.startsWith('s3://')) return { kind: 'folder', path: resolve(where) };
  const [bucket = '', ...rest] = where.slice('s3://'.length).split('/');
  if (bucket === '') {
    throw new LookalikeError('invalidInput', `Expected LOOKALIKE_ARTIFACTS as s3://bucket/prefix, got "${where}".`);
  }
  return {
    kind: 's3',
    bucket,
    prefix: rest.join('/').replace(/\/$/, ''),
    endpoint: raw.LOOKALIKE_S3_ENDPOINT ?? null,
    region: raw.LOOKALIKE_S3_REGION,
    accessKeyId: raw.AWS_ACCESS_KEY_ID ?? null,
    secretAccessKey: raw.AWS_SECRET_ACCESS_KEY ?? null,
    sessionToken: raw.AWS_SESSION_TOKEN ?? null,
    cacheBytes: raw.LOOKALIKE_S3_CACHE_BYTES,
  };
}

/** The installation's data-plane secret, made once, readable by its owner only. */
function installationToken(dataDir: string): string {
  const path = join(dataDir, 'data-plane-token');
  mkdirSync(dataDir, { recursive: true });
  if (!existsSync(path)) {
    const draft = `${path}.${process.pid}`;
    writeFileSync(draft, randomBytes(32).toString('hex'), { mode: 0o600 });
    try {
      // Linking a finished file: of several processes that start together one wins, and nobody reads half a secret.
      linkSync(draft, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(draft);
    }
  }
  return readFileSync(path, 'utf8').trim();
}
