/* global FormData, Headers, URL, TextDecoder, fetch, sessionStorage */

/** Speaks with the API: one place for the key, for problems in words, and for the event stream. */

const KEY = 'lookalike-key';

export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
  clear: () => sessionStorage.removeItem(KEY),
};

/** A refusal of the server, in its own words. */
export class Problem extends Error {
  constructor(status, code, detail) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

export async function request(path, options = {}) {
  const headers = new Headers(options.headers);
  if (key.get()) headers.set('authorization', `Bearer ${key.get()}`);
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0, 'offline', 'The server does not answer. Is it still running?');
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Problem(
    response.status,
    problem.code ?? 'unknown',
    problem.detail ?? `The server answered ${response.status}.`,
  );
}

export const get = async (path, options) => (await request(path, options)).json();

export const post = async (path, body, options) =>
  (
    await request(path, {
      ...options,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  ).json();

/** DELETE; the answer says what became of it. */
export const remove = async (path, options) => (await request(path, { ...options, method: 'DELETE' })).json();

export async function postForm(path, fields, options) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) form.append(name, value);
  return (await request(path, { ...options, method: 'POST', body: form })).json();
}

/** The bytes of a large file, with a word about how far it is; their number is known. */
export async function getBytes(path, { total, onProgress, ...options }) {
  const { body } = await request(path, options);
  const bytes = new Uint8Array(total);
  const reader = body.getReader();
  for (let at = 0; ;) {
    const { done, value } = await reader.read();
    if (done && at === total) return bytes;
    if (done) throw new Problem(0, 'offline', `The server sent ${at} of ${total} bytes. Is it still running?`);
    bytes.set(value, at);
    at += value.length;
    onProgress(at, total);
  }
}

/** Pictures cannot carry a key in their URL: with a key they are fetched like everything else. */
export async function showPicture(image, path) {
  if (!key.get()) {
    image.src = path;
    return;
  }
  const url = URL.createObjectURL(await (await request(path)).blob());
  image.addEventListener('load', () => URL.revokeObjectURL(url), { once: true });
  image.src = url;
}

/** Calls `onEvent(type, data)` for each server-sent event until the stream ends. */
export async function events(path, onEvent, signal) {
  const { body } = await request(path, { signal, headers: { accept: 'text/event-stream' } });
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop();
    for (const block of blocks) {
      const fields = block.split('\n').map((line) => line.split(/: ?(.*)/s));
      const data = fields.filter(([name]) => name === 'data').map(([, content]) => content);
      const type = fields.find(([name]) => name === 'event')?.[1] ?? 'message';
      if (data.length > 0) onEvent(type, JSON.parse(data.join('\n')));
    }
  }
}
