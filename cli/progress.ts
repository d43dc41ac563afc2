import { MultiBar, Presets } from 'cli-progress';
import type { SingleBar } from 'cli-progress';

/** One piece of work with a rate and an estimate of the time left. */
export interface Task {
  /** `total` null: nobody knows. */
  update(done: number, total: number | null, detail?: string): void;
  finish(detail: string): void;
}

/** Plain lines come at most this often where there is no terminal. */
const LINE_EVERY_MS = 5_000;
const BAR_WIDTH = 24;

/** Progress on stderr: bars in a terminal, a line now and then elsewhere. Invariant: nothing is written to stdout. */
export class ProgressDisplay {
  readonly #stream: NodeJS.WriteStream;
  readonly #bars: MultiBar | null;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#bars = stream.isTTY
      ? new MultiBar(
          {
            stream,
            clearOnComplete: true,
            hideCursor: true,
            forceRedraw: true,
            linewrap: false,
            emptyOnZero: true,
            gracefulExit: false,
            format: (_options, params, payload) => barText(params, payload as BarPayload),
          },
          Presets.shades_classic,
        )
      : null;
  }

  /** A line for people, above the bars. */
  line(text: string): void {
    if (this.#bars !== null && this.#hasBars) this.#bars.log(`${text}\n`);
    else this.#stream.write(`${text}\n`);
  }

  task(name: string, unit: string): Task {
    const meter = new Meter();
    return this.#bars === null ? this.#lineTask(name, unit, meter) : this.#barTask(this.#bars, name, unit, meter);
  }

  /** Takes the bars off the screen; the display can be used again. */
  stop(): void {
    this.#bars?.stop();
  }

  get #hasBars(): boolean {
    return (this.#bars as unknown as { bars: unknown[] } | null)?.bars.length !== 0;
  }

  #barTask(bars: MultiBar, name: string, unit: string, meter: Meter): Task {
    let bar: SingleBar | null = null;
    let isDone = false;
    return {
      update: (done, total, detail = '') => {
        if (isDone) return;
        meter.note(done);
        const payload: BarPayload = { name, unit, detail, meter, total };
        bar ??= bars.create(total ?? 1, 0, payload);
        if (total !== null) bar.setTotal(Math.max(total, 1));
        bar.update(total === null ? 0 : done, payload);
      },
      finish: (detail) => {
        if (isDone) return;
        isDone = true;
        if (bar !== null) bars.remove(bar);
        this.line(`✔ ${name}: ${detail}`);
      },
    };
  }

  #lineTask(name: string, unit: string, meter: Meter): Task {
    let shownAt = -Infinity;
    let isDone = false;
    return {
      update: (done, total, detail = '') => {
        if (isDone) return;
        meter.note(done);
        if (performance.now() - shownAt < LINE_EVERY_MS || (total === null && detail === '')) return;
        shownAt = performance.now();
        const part = total === null ? [] : [`${formatNumber(done)}/${formatNumber(total)}`];
        this.line(`  ${[`${name}:`, ...part, ...meter.words(done, total, unit), detail].filter(Boolean).join(' ')}`);
      },
      finish: (detail) => {
        if (isDone) return;
        isDone = true;
        this.line(`✔ ${name}: ${detail}`);
      },
    };
  }
}

interface BarPayload {
  name: string;
  unit: string;
  detail: string;
  meter: Meter;
  total: number | null;
}

/** Rate since the first note: work that was done before this process looked does not count. */
class Meter {
  #first: { done: number; at: number } | null = null;

  note(done: number): void {
    this.#first ??= { done, at: performance.now() };
    if (done < this.#first.done) this.#first = { done, at: performance.now() };
  }

  words(done: number, total: number | null, unit: string): string[] {
    if (this.#first === null || unit === '') return [];
    const seconds = (performance.now() - this.#first.at) / 1_000;
    const rate = (done - this.#first.done) / seconds;
    if (seconds < 0.5 || !(rate > 0)) return [];
    const words = [`${formatNumber(rate)} ${unit}/s`];
    if (total !== null && total > done) words.push(`${formatSeconds((total - done) / rate)} left`);
    return words;
  }
}

function barText(params: { value: number; progress: number }, payload: BarPayload): string {
  const { name, unit, detail, meter, total } = payload;
  const filled = Math.round(params.progress * BAR_WIDTH);
  const bar = total === null ? '░'.repeat(BAR_WIDTH) : '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  const part = total === null ? [] : [`${Math.floor(params.progress * 100)}%`];
  return [name.padEnd(12), bar, ...part, ...meter.words(params.value, total, unit), detail].filter(Boolean).join('  ');
}

export function formatNumber(value: number): string {
  return value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString('en-US') : value.toPrecision(2);
}

export function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
