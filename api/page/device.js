/* global Worker, performance */
import { get, getBytes } from './server.js';

/** What the page computes with: half the bytes of the server's own model, and the same vectors to the eye. */
const PRECISION = 'fp16';

/**
 * Turns photos into vectors on this device: the model comes here, once, and the photo goes nowhere. Computing happens in a worker, so the
 * page stays alive. `tell` gets a word about how it goes.
 */
export function deviceEmbedder(tell) {
  const asked = new Map();
  let worker;
  let loaded;
  let nextId = 0;

  function ask(message, transfer) {
    worker ??= start();
    const id = nextId++;
    worker.postMessage({ id, ...message }, transfer);
    return new Promise((resolve, reject) => asked.set(id, { resolve, reject }));
  }

  function start() {
    const started = new Worker('/page/device-worker.js', { type: 'module' });
    started.addEventListener('message', ({ data: { id, result, problem } }) => {
      const { resolve, reject } = asked.get(id);
      asked.delete(id);
      if (problem === undefined) resolve(result);
      else reject(new Error(problem));
    });
    started.addEventListener('error', (event) => {
      event.preventDefault();
      const problem = new Error(`This browser cannot embed photos: ${event.message ?? 'its worker does not start'}.`);
      for (const { reject } of asked.values()) reject(problem);
      asked.clear();
      worker = loaded = undefined;
      started.terminate();
    });
    return started;
  }

  /** The model that serves, opened in the worker; another one takes its place. */
  async function load(base, signal) {
    const description = await get(`${base}/model`, { signal });
    const file = description.files.find(({ precision }) => precision === PRECISION);
    const { model } = description;
    if (loaded?.sha256 === file.sha256) return (loaded = { ...loaded, model });
    const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
    const bytes = await getBytes(file.url, {
      signal,
      total: file.sizeBytes,
      onProgress: (done, total) => tell(`Fetching the model: ${megabytes(done)} of ${megabytes(total)} MB.`),
    });
    tell('Opening the model.');
    await ask({ kind: 'load', bytes, preprocessing: description.preprocessing }, [bytes.buffer]);
    return (loaded = { model, sha256: file.sha256 });
  }

  return {
    /** @returns {Promise<{ model: string, vector: number[] }>} */
    async embed(base, file, crop, signal) {
      const { model } = await load(base, signal);
      const started = performance.now();
      const vector = await ask({ kind: 'embed', file, crop });
      signal.throwIfAborted();
      const ms = (performance.now() - started).toFixed(0);
      tell(`Embedded here in ${ms} ms; only ${vector.length} numbers are sent.`);
      return { model, vector: Array.from(vector) };
    },
  };
}
