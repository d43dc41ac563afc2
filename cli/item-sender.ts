import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { RejectedRow } from '../contracts/catalogue.ts';
import { isLookalikeError } from '../contracts/errors.ts';
import { postLines } from './api-client.ts';
import type { ApiTarget } from './api-client.ts';

/** Lines and characters of one request: well below what the API takes. */
const MAX_LINES = 500;
const MAX_CHARACTERS = 8 * 1024 * 1024;
/** An API that is started again is back within seconds. */
const MAX_ATTEMPTS = 8;
const FIRST_PAUSE_MS = 250;

interface Answer {
  seq: number;
  added: number;
  changed: number;
  unchanged: number;
  deleted: number;
  absent: number;
  rejected: { line: number; id: string | null; reason: string }[];
}
export type Sent = Omit<Answer, 'rejected'> & { rejected: RejectedRow[] };

export interface ItemSenderOptions {
  target: ApiTarget;
  catalogue: string;
  signal: AbortSignal;
  /** Lines acknowledged so far. */
  onProgress: (done: number) => void;
}

/** Sends lines to the API in batches, in order, each batch once: one whose answer was lost is sent again under its key. */
export class ItemSender {
  readonly #options: ItemSenderOptions;
  readonly #sent: Sent = { seq: 0, added: 0, changed: 0, unchanged: 0, deleted: 0, absent: 0, rejected: [] };
  #batch: { row: number; text: string }[] = [];
  #characters = 0;
  #done = 0;

  constructor(options: ItemSenderOptions) {
    this.#options = options;
  }

  /** @throws LookalikeError what the API says of the batch as a whole */
  async add(row: number, text: string): Promise<void> {
    if (this.#batch.length === MAX_LINES || this.#characters + text.length > MAX_CHARACTERS) await this.#flush();
    this.#batch.push({ row, text });
    this.#characters += text.length;
  }

  async finish(): Promise<Sent> {
    await this.#flush();
    return this.#sent;
  }

  async #flush(): Promise<void> {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    this.#characters = 0;
    const { seq, rejected, ...counts } = await this.#post(batch.map(({ text }) => text));
    this.#sent.seq = seq;
    for (const [name, count] of Object.entries(counts)) this.#sent[name as keyof typeof counts] += count;
    this.#sent.rejected.push(...rejected.map(({ line, ...why }) => ({ row: batch[line - 1]!.row, ...why })));
    this.#done += batch.length;
    this.#options.onProgress(this.#done);
  }

  async #post(lines: string[]): Promise<Answer> {
    const { target, catalogue, signal } = this.#options;
    const key = randomUUID();
    const path = `/v1/catalogues/${encodeURIComponent(catalogue)}/items`;
    for (let attempt = 1; ; attempt++) {
      try {
        const { searchable: _, ...answer } = (await postLines(target, path, lines, key, signal)) as Answer & {
          searchable?: boolean;
        };
        return answer;
      } catch (error) {
        if (!isLookalikeError(error) || !error.retryable || attempt === MAX_ATTEMPTS) throw error;
        await delay(FIRST_PAUSE_MS * 2 ** (attempt - 1), undefined, { signal });
      }
    }
  }
}
