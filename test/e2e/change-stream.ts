import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import type { JsonObject } from '../../contracts/json.ts';

/** What a writer knows of one of its items: the newest state that was acknowledged. */
export interface Known {
  picture: Buffer;
  /** Stands in the item's attributes: tells which write made it. */
  rev: number;
  /** Gone; the picture is the last it had. */
  deleted: boolean;
  /** When the write of this state was begun, and when it was acknowledged. */
  begunAt: number;
  ackedAt: number;
}

export interface StreamStats {
  acknowledged: number;
  /** Requests that got no answer and were sent again under their key. */
  repeated: number;
  seq: number;
}

/** Blocks of random colours: no two pictures look alike. */
export async function noisePicture(random: () => number): Promise<Buffer> {
  const side = 6;
  const pixels = Uint8Array.from({ length: side * side * 3 }, () => Math.floor(random() * 256));
  const raw = { width: side, height: side, channels: 3 as const };
  return sharp(pixels, { raw }).resize(96, 96, { kernel: 'nearest' }).png().toBuffer();
}

/**
 * One writer of items `<name>-<n>`: puts, changes and deletes them one after the other, each until it is acknowledged, and keeps what must
 * then be true. Single and bulk requests alike.
 */
export class ChangeStream {
  readonly known = new Map<string, Known>();
  /** Earlier states, by item: what was deleted when. */
  readonly deletions: { id: string; ackedAt: number; revivedAt: number }[] = [];
  readonly stats: StreamStats = { acknowledged: 0, repeated: 0, seq: 0 };
  readonly #base: string;
  readonly #name: string;
  readonly #random: () => number;
  #rev = 0;

  constructor(api: string, catalogue: string, name: string, random: () => number) {
    this.#base = `${api}/v1/catalogues/${catalogue}/items`;
    this.#name = name;
    this.#random = random;
  }

  async run(isOver: () => boolean, everyMs: number): Promise<void> {
    while (!isOver()) {
      const startedAt = performance.now();
      await (this.#random() < 0.2 ? this.#bulk() : this.#one());
      await sleep(Math.max(0, everyMs - (performance.now() - startedAt)));
    }
  }

  #anId(): string {
    return `${this.#name}-${Math.floor(this.#random() * 40)}`;
  }

  async #next(id: string): Promise<{ state: Omit<Known, 'begunAt' | 'ackedAt'>; fields: JsonObject | null }> {
    const old = this.known.get(id);
    const rev = ++this.#rev;
    const draw = this.#random();
    if (old !== undefined && !old.deleted && draw < 0.2) return { state: { ...old, rev, deleted: true }, fields: null };
    const keeps = old !== undefined && !old.deleted && draw < 0.45;
    const picture = keeps ? old.picture : await noisePicture(this.#random);
    const fields: JsonObject = { category: 'stream', attributes: { rev, writer: this.#name } };
    if (!keeps) fields.imageBase64 = picture.toString('base64');
    return { state: { picture, rev, deleted: false }, fields };
  }

  async #one(): Promise<void> {
    const id = this.#anId();
    const { state, fields } = await this.#next(id);
    const begunAt = performance.now();
    const path = `/${encodeURIComponent(id)}`;
    if (fields === null) await this.#send('DELETE', path, undefined, 'application/json');
    else await this.#send('PUT', path, JSON.stringify(fields), 'application/json');
    this.#acknowledge(id, { ...state, begunAt, ackedAt: performance.now() });
  }

  async #bulk(): Promise<void> {
    const ids = [...new Set(Array.from({ length: 5 }, () => this.#anId()))];
    const begunAt = performance.now();
    const lines: string[] = [];
    const states: [string, Omit<Known, 'begunAt' | 'ackedAt'>][] = [];
    for (const id of ids) {
      const { state, fields } = await this.#next(id);
      lines.push(JSON.stringify(fields === null ? { delete: id } : { id, ...fields }));
      states.push([id, state]);
    }
    const answer = (await this.#send('POST', '', lines.join('\n'), 'application/x-ndjson')) as { rejected: unknown[] };
    if (answer.rejected.length > 0) throw new Error(`Expected every line to be taken: ${JSON.stringify(answer)}`);
    const ackedAt = performance.now();
    for (const [id, state] of states) this.#acknowledge(id, { ...state, begunAt, ackedAt });
  }

  #acknowledge(id: string, state: Known): void {
    const old = this.known.get(id);
    if (old?.deleted === true && !state.deleted) {
      this.deletions.push({ id, ackedAt: old.ackedAt, revivedAt: state.begunAt });
    }
    this.known.set(id, state);
    this.stats.acknowledged++;
  }

  /** The same request under the same key until it is answered. */
  async #send(method: string, path: string, body: string | undefined, type: string): Promise<unknown> {
    const key = randomUUID();
    for (;;) {
      const answer = await this.#try(method, path, body, type, key);
      if (answer !== undefined) {
        this.stats.seq = Math.max(this.stats.seq, answer.seq);
        return answer;
      }
      this.stats.repeated++;
      await sleep(50);
    }
  }

  /** Undefined where nothing is known of what became of it. */
  async #try(
    method: string,
    path: string,
    body: string | undefined,
    type: string,
    key: string,
  ): Promise<{ seq: number } | undefined> {
    let response: Response;
    let text: string;
    try {
      const headers = { 'idempotency-key': key, ...(body !== undefined && { 'content-type': type }) };
      response = await fetch(this.#base + path, { method, body, headers, signal: AbortSignal.timeout(10_000) });
      text = await response.text();
    } catch {
      return undefined;
    }
    if (response.ok) return JSON.parse(text) as { seq: number };
    if (response.status >= 500) return undefined;
    throw new Error(`Expected ${method} ${path} to be taken, got ${response.status} ${text}`);
  }
}
