import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { withTempFolder, writeParts } from '../shards/files.ts';
import type { Contender, Effort } from './contender.ts';
import type { Dataset } from './dataset.ts';
import { PEER_PROGRAM } from './peer-program.ts';

/** What one asks a peer library to build. */
export type PeerBuild = { name: string; efforts: readonly Effort[] } & (
  | { library: 'faiss'; factory: string; efConstruction?: number }
  | { library: 'faissBinary'; bits: number; seed: number }
  | { library: 'hnswlib'; m: number; efConstruction: number; seed: number }
);

/** Python with what it can import; `null`: not there. */
export type PeerVersions = Record<string, string | null>;

export interface Peers {
  versions: PeerVersions;
  has(library: PeerBuild['library']): boolean;
  /** Hands the data over; before any build. */
  load(data: Dataset, k: number, threads: number): Promise<void>;
  build(peer: PeerBuild): Promise<Contender>;
  close(): Promise<void>;
}

/** Starts Python and asks what it can import; a sentence where there is no such Python or no library. */
export async function startPeers(python: string, signal: AbortSignal): Promise<Peers | string> {
  const child = spawn(python, ['-u', '-c', PEER_PROGRAM], { stdio: ['pipe', 'pipe', 'ignore'], signal });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(errorMessage(error)));
    child.once('close', (code) => resolve(`it ended with code ${code}`));
  });
  // Its end is told by `ended`; a write that comes too late must not end this process.
  child.stdin.on('error', () => undefined);
  const replies = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<JsonObject> => {
    const reply = await Promise.race([replies.next(), ended]);
    signal.throwIfAborted();
    if (typeof reply === 'string' || reply.done === true) {
      const why = typeof reply === 'string' ? reply : await ended;
      throw new LookalikeError('unavailable', `Expected an answer of the Python peer, but ${why}.`);
    }
    const value = JSON.parse(reply.value) as JsonObject;
    if (typeof value.error === 'string')
      throw new LookalikeError('unavailable', `The Python peer failed: ${value.error}.`);
    return value;
  };
  const ask = (request: JsonObject): Promise<JsonObject> => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    return next();
  };
  const close = async (): Promise<void> => {
    child.stdin.end();
    child.kill('SIGKILL');
    await ended;
  };

  let versions: PeerVersions;
  try {
    versions = (await next()).versions as PeerVersions;
  } catch (error) {
    await close();
    signal.throwIfAborted();
    return `No peers: ${python} could not be asked (${errorMessage(error)}).`;
  }
  const has = (library: PeerBuild['library']): boolean =>
    typeof versions.numpy === 'string' && typeof versions[library === 'faissBinary' ? 'faiss' : library] === 'string';
  if (!has('faiss') && !has('hnswlib')) {
    await close();
    return `No peers: ${python} (Python ${versions.python}) cannot import faiss or hnswlib with numpy.`;
  }

  let nextId = 1;
  return {
    versions,
    has,
    load: (data, k, threads) =>
      withTempFolder(async (folder) => {
        const paths = { rows: join(folder, 'rows.f32'), queries: join(folder, 'queries.f32') };
        for (const name of ['rows', 'queries'] as const) {
          const { data: values } = data[name];
          await writeParts(paths[name], [new Uint8Array(values.buffer, values.byteOffset, values.byteLength)]);
        }
        const shape = { dim: data.rows.dim, numRows: data.rows.size, numQueries: data.queries.size };
        await ask({ op: 'open', ...paths, ...shape, metric: data.metric, k, threads });
      }),
    async build(peer) {
      const { name, efforts, ...request } = peer;
      const id = nextId++;
      const { seconds, bytes } = await ask({ op: 'build', id, ...request });
      return {
        name,
        build: peerText(peer),
        buildSeconds: Number(seconds),
        memoryBytes: Number(bytes),
        efforts,
        async answer(effort) {
          const { rows } = await ask({ op: 'answer', id, effort });
          return { rows: Int32Array.from(rows as number[]) };
        },
        async time(effort, how, roundSeconds, batch) {
          const round = await ask({ op: 'time', id, effort, how, seconds: roundSeconds, batch });
          return Number(round.queries) / Number(round.seconds);
        },
        close: async () => void (await ask({ op: 'drop', id })),
      };
    },
    close,
  };
}

function peerText(peer: PeerBuild): string {
  if (peer.library === 'faiss') {
    return peer.efConstruction === undefined ? peer.factory : `${peer.factory}, efConstruction=${peer.efConstruction}`;
  }
  if (peer.library === 'faissBinary') return `bits=${peer.bits}`;
  return `m=${peer.m}, efConstruction=${peer.efConstruction}`;
}
