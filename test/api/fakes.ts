import { createHash } from 'node:crypto';
import { pino } from 'pino';
import type { BlobStore } from '../../contracts/artifacts.ts';
import type { CalibrationResult } from '../../contracts/calibration.ts';
import type { CatalogueItem } from '../../contracts/catalogue.ts';
import type { CropBox } from '../../contracts/crop.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { ApiScope, Registry } from '../../contracts/registry.ts';
import type { SimilarList } from '../../contracts/similar.ts';
import type { Generation, GenerationSwitch, RoutingTable } from '../../contracts/serving.ts';
import type { ApiPorts, Embedder, RetrainStatus, Retrainer, Searcher, Switcher } from '../../api/ports.ts';
import type { Switched, SwitchWish } from '../../infra/generations/promote.ts';

/** A port whose methods all fail by name until a test gives them; nothing is answered by accident. */
export function strict<Port extends object>(name: string, methods: Partial<Port>): Port {
  return new Proxy(methods, {
    get(target, key) {
      const method = Reflect.get(target, key) as unknown;
      // Frameworks look for these on any object; none of them is a call of the port.
      if (method !== undefined || typeof key === 'symbol' || /^(then|toJSON|on[A-Z].*|before[A-Z].*)$/.test(key))
        return method;
      throw new Error(`Unexpected use of ${name}.${key}.`);
    },
  }) as Port;
}

export const DIM = 4;
export const MODEL = 'model-00000000000000000000000000000001';
export const INDEX = 'index-00000000000000000000000000000001';
export const READ_KEY = 'lk_read_0123456789abcdef';
export const WRITE_KEY = 'lk_write_0123456789abcdef';

/** A 1x1 PNG. */
export const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==',
  'base64',
);

/** An item and where it stands; the fake search is a plain scan over these vectors. */
export interface FakeItem extends Partial<CatalogueItem> {
  id: string;
  vector: number[] | null;
}

export class World {
  readonly items = new Map<string, CatalogueItem>();
  readonly indexed = new Map<string, { vector: number[]; category: string | null }>();
  readonly pictures = new Map<string, Buffer>();
  readonly generations: Generation[] = [];
  readonly switches: GenerationSwitch[] = [];
  table: RoutingTable | undefined = table(1, MODEL);
  /** What the embedder makes of any picture it can read. */
  embedding = [1, 0, 0, 0];
  retrain: RetrainStatus | undefined;
  /** What a batch found in advance, once one is recorded. */
  similarArtifact: string | undefined;
  /** What scores mean. */
  calibration: CalibrationResult = { calibration: null, reason: 'Expected labels, got none.' };
  readonly similar = new Map<string, SimilarList>();
  /** Of the catalogue, where anything changed since the snapshot, and the items that got another picture. */
  lastSeq = 0;
  readonly repictured = new Set<string>();
  /** Those that changed at all. */
  readonly changed = new Set<string>();
  readonly searches: Parameters<Searcher['search']>[0][] = [];
  readonly embedded: { model: string; bytes: Uint8Array; crop?: CropBox }[] = [];
  readonly fetched: string[] = [];
  readonly sampled: { model: string; vector: number[] }[] = [];
  readonly retrains: { catalogue: string; request: Parameters<Retrainer['start']>[1] }[] = [];

  constructor(items: FakeItem[] = []) {
    for (const item of items) this.add(item);
    this.generations.push(generation(1, 'serving'));
  }

  add({ vector, ...item }: FakeItem, picture: Buffer = PNG): void {
    const image = createHash('sha256').update(picture).digest('hex');
    this.pictures.set(image, picture);
    const whole = { category: null, label: null, title: null, attributes: {}, image, ...item };
    this.items.set(item.id, whole);
    if (vector !== null) this.indexed.set(item.id, { vector, category: whole.category });
  }

  ports(overrides: Partial<ApiPorts> = {}): ApiPorts {
    return {
      registry: this.registry(),
      blobs: this.blobs(),
      searcher: this.searcher(),
      embedder: this.embedder(),
      fetchImage: (url) => this.fetchImage(url),
      retrainer: this.retrainer(),
      switcher: this.switcher(),
      scheduler: strict<ApiPorts['scheduler']>('scheduler', {}),
      similar: strict<ApiPorts['similar']>('similar', {
        lookup: async (artifact, id) => (artifact === this.similarArtifact ? this.similar.get(id) : undefined),
      }),
      calibrations: async () => this.calibration,
      similarStarter: strict<ApiPorts['similarStarter']>('similarStarter', {}),
      tuner: strict<ApiPorts['tuner']>('tuner', { status: async () => undefined }),
      lineage: () => Promise.reject(new Error('Unexpected use of lineage.')),
      deviceModels: strict<ApiPorts['deviceModels']>('deviceModels', {}),
      logger: pino({ level: 'silent' }),
      ...overrides,
    };
  }

  registry(): Registry {
    const inCatalogue = (catalogue: string): CatalogueItem[] =>
      catalogue === 'shop' ? [...this.items.values()].sort((a, b) => (a.id < b.id ? -1 : 1)) : [];
    return strict<Registry>('registry', {
      catalogue: strict<Registry['catalogue']>('catalogue', {
        catalogues: async () => [{ catalogue: 'shop', numItems: this.items.size, numExamples: 0 }],
        getItems: async (catalogue, ids) =>
          ids.flatMap((id) => inCatalogue(catalogue).filter((item) => item.id === id)),
        listItems: async (catalogue, { afterId, limit, category }) =>
          inCatalogue(catalogue)
            .filter((item) => afterId === undefined || item.id > afterId)
            .filter((item) => category === undefined || item.category === category)
            .slice(0, limit),
        categories: async (catalogue) => {
          const counts = Map.groupBy(inCatalogue(catalogue), (item) => item.category);
          return [...counts].flatMap(([category, of]) => (category === null ? [] : [{ category, count: of.length }]));
        },
      }),
      changes: strict<Registry['changes']>('changes', {
        lastSeq: async () => this.lastSeq,
        snapshotSeq: async () => 0,
        repictured: async (_, ids) => new Set(ids.filter((id) => this.repictured.has(id))),
      }),
      generations: strict<Registry['generations']>('generations', {
        get: async (_, number) => this.generations.find((one) => one.number === number),
        list: async (catalogue) => (catalogue === 'shop' ? this.generations : []),
        switches: async (catalogue) => (catalogue === 'shop' ? this.switches : []),
      }),
      similar: strict<Registry['similar']>('similar', {
        of: async (_, index) => (index === INDEX ? this.similarArtifact : undefined),
      }),
      queries: strict<Registry['queries']>('queries', {
        add: async (_, model, vector) => void this.sampled.push({ model, vector: [...vector] }),
      }),
      apiKeys: strict<Registry['apiKeys']>('apiKeys', {
        verify: async (key) => {
          const scopes: Record<string, ApiScope[]> = { [READ_KEY]: ['read'], [WRITE_KEY]: ['read', 'write'] };
          return scopes[key] && { id: `id of ${key}`, name: 'test', scopes: scopes[key] };
        },
      }),
    });
  }

  blobs(): BlobStore {
    return strict<BlobStore>('blobs', {
      get: async (sha256) => {
        const bytes = this.pictures.get(sha256);
        if (bytes === undefined) throw new LookalikeError('notFound', `Expected the blob ${sha256}, found none.`);
        return bytes;
      },
    });
  }

  searcher(): Searcher {
    return strict<Searcher>('searcher', {
      currentTable: async (catalogue) => (catalogue === 'shop' ? this.table : undefined),
      vectorOf: async ({ catalogue }, id) => {
        const vector = catalogue === 'shop' ? this.indexed.get(id)?.vector : undefined;
        return vector && Float32Array.from(vector);
      },
      vectorsOf: async (_, ids) =>
        new Map(
          ids.flatMap((id) => (this.indexed.has(id) ? [[id, Float32Array.from(this.indexed.get(id)!.vector)]] : [])),
        ),
      search: async (request) => {
        this.searches.push(request);
        request.signal.throwIfAborted();
        if (this.table === undefined) throw new Error('searched without a serving generation');
        const { table } = this;
        const vector = await request.vector(table);
        const hits = [...this.indexed]
          .filter(([, row]) => request.category === undefined || row.category === request.category)
          .filter(([id]) => request.changedOnly !== true || this.changed.has(id))
          .map(([id, row]) => ({
            id,
            score: row.vector.reduce((sum, x, i) => sum + x * (vector[i] ?? NaN), 0),
          }))
          .filter((hit) => request.minScore === undefined || hit.score >= request.minScore)
          .sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1))
          .slice(0, request.k);
        const coverage = { shardsAsked: 2, shardsAnswered: 2 };
        const facets = request.facets && { facets: request.facets.map((name) => ({ name, values: [], maxError: 0 })) };
        const shards = [0, 1].map((shard) => ({ shard, answered: true, replica: 0, host: 'searcher-1' }));
        return { table, hits, ...facets, coverage, shards, timingsMs: { route: 0.1, search: 0.5, merge: 0.05 } };
      },
    });
  }

  embedder(): Embedder {
    return {
      embed: async (model, bytes, { crop, signal }) => {
        signal.throwIfAborted();
        this.embedded.push({ model, bytes, ...(crop && { crop }) });
        if (bytes.length < 60) {
          throw new LookalikeError('imageRejected', 'Expected a whole picture, got one that ends too early.');
        }
        const box = crop && { crop: { left: 1, top: 2, width: 3, height: 4 } };
        return { vector: Float32Array.from(this.embedding), timingsMs: { queue: 0.2, decode: 1, infer: 5 }, ...box };
      },
    };
  }

  async fetchImage(url: string): Promise<Buffer> {
    this.fetched.push(url);
    if (!url.startsWith('https://pictures.example/')) {
      throw new LookalikeError('forbiddenUrl', `Expected a URL of an allowed host, got "${url}".`);
    }
    return PNG;
  }

  /** Switches at once and records it, as the registry would. */
  switcher(): Switcher {
    const switchTo = async (
      { by, reason }: SwitchWish,
      to: number,
      how: GenerationSwitch['how'],
    ): Promise<Switched> => {
      const previous = this.generations.find(({ status }) => status === 'serving')?.number ?? null;
      if (previous === to) return { generation: to, previous: null, switched: false };
      if (!this.generations.some(({ number }) => number === to)) {
        throw new LookalikeError('notFound', `Expected a generation ${to} of catalogue "shop", found none.`);
      }
      for (const one of this.generations) one.status = one.number === to ? 'serving' : 'retired';
      this.switches.push({ generation: to, previous, how, by, reason, at: '2026-01-02T00:00:00.000Z' });
      return { generation: to, previous, switched: true };
    };
    return {
      promote: (wish, generation) => switchTo(wish, generation, 'promote'),
      rollBack: (wish, to) => switchTo(wish, to ?? 1, 'rollback'),
    };
  }

  retrainer(): Retrainer {
    return {
      start: async (catalogue, request) => {
        if (request.recipe === 'unheard-of') {
          throw new LookalikeError('invalidInput', 'Expected the name of a recipe (default), got "unheard-of".');
        }
        this.retrains.push({ catalogue, request });
        const started = this.retrains.length === 1;
        return { workflowId: `retrain/${catalogue}`, runId: 'run-1', started, temporalUrl: 'http://127.0.0.1:8233/x' };
      },
      status: async (catalogue) => (catalogue === 'shop' ? this.retrain : undefined),
      recipes: () => [],
    };
  }
}

export function table(generation: number, model: string): RoutingTable {
  return { catalogue: 'shop', generation, model, dim: DIM, numShards: 2, endpoints: [] };
}

export function generation(number: number, status: Generation['status']): Generation {
  return {
    catalogue: 'shop',
    number,
    status,
    snapshot: 'snapshot-1',
    model: MODEL,
    embeddings: 'embeddings-1',
    index: INDEX,
    metrics: { indexRecall: 1 },
    workflowId: 'retrain/shop',
    createdAt: '2026-01-01T00:00:00.000Z',
  };
}

export function running(): RetrainStatus {
  return {
    workflowId: 'retrain/shop',
    runId: 'run-1',
    status: 'running',
    startedAt: '2026-01-01T00:00:00.000Z',
    closedAt: null,
    steps: [
      { name: 'snapshot', status: 'done', detail: '24 items' },
      { name: 'train', status: 'running', detail: 'epoch 3 of 10' },
      { name: 'build index', status: 'waiting', detail: '' },
    ],
    training: {
      epoch: 3,
      numEpochs: 10,
      step: 30,
      numSteps: 100,
      loss: 0.42,
      learningRate: 0.001,
      recallByEpoch: [0.4, 0.55, 0.61],
      samplesPerSecond: 5200,
      backend: 'cpu',
      checkpoint: null,
      parts: [
        {
          ...{ role: 'replica', index: 0, host: 'trainer-1', attempt: 2, step: 30, loss: 0.42 },
          ...{ holds: null, bytesPerStep: 1000, staleness: [30], note: null },
        },
      ],
    },
    output: null,
    failure: null,
    temporalUrl: 'http://127.0.0.1:8233/namespaces/default/workflows/retrain%2Fshop',
  };
}

/** Six fruits and two cars around the axes of a four-dimensional space. */
export function fruitsAndCars(): FakeItem[] {
  return [
    { id: 'apple/red', vector: [1, 0, 0, 0], category: 'fruit', title: 'Red apple', attributes: { colour: 'red' } },
    { id: 'apple/green', vector: [0.9, 0.1, 0, 0], category: 'fruit', title: 'Green apple' },
    { id: 'pear', vector: [0.8, 0.2, 0, 0], category: 'fruit', title: 'Pear' },
    { id: 'Äpfel & Birnen', vector: [0.7, 0.3, 0, 0], category: 'fruit', title: 'Äpfel & Birnen' },
    { id: 'car', vector: [0, 0, 1, 0], category: 'vehicle', title: 'Car' },
    { id: 'van', vector: [0, 0, 0.9, 0.1], category: 'vehicle', title: 'Van' },
  ];
}
