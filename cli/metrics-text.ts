/** One number of a metrics page. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** The samples of a page in Prometheus' text format 0.0.4; comments and what it cannot read are left out. */
export function parseMetrics(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels = '', value] = LINE.exec(line) ?? [];
    if (name === undefined) return [];
    const pairs = [...labels.matchAll(LABEL)].map(([, key, raw]) => [key!, raw!.replace(/\\(.)/g, unescape)]);
    return [{ name, labels: Object.fromEntries(pairs) as Record<string, string>, value: numberOf(value!) }];
  });
}

function unescape(_: string, letter: string): string {
  return letter === 'n' ? '\n' : letter;
}

function numberOf(text: string): number {
  return text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text);
}

/** Two looks at the same page: what was counted in between. A counter that is lower than before was started anew. */
export class Between {
  readonly seconds: number;
  readonly #before: Map<string, number>;
  readonly #now: Sample[];

  constructor(before: readonly Sample[], now: Sample[], seconds: number) {
    this.#before = new Map(before.map((one) => [keyOf(one), one.value]));
    this.#now = now;
    this.seconds = seconds;
  }

  /** What the counters of that name with these labels grew by. */
  grown(name: string, labels: Record<string, string> = {}): number {
    return this.#of(name, labels).reduce((sum, one) => sum + this.#growth(one), 0);
  }

  /** The same, by the value of a label. */
  grownBy(label: string, name: string, labels: Record<string, string> = {}): Map<string, number> {
    const sums = new Map<string, number>();
    for (const one of this.#of(name, labels)) {
      const value = one.labels[label] ?? '';
      sums.set(value, (sums.get(value) ?? 0) + this.#growth(one));
    }
    return sums;
  }

  /** A gauge as it is; undefined where there is none. */
  now(name: string, labels: Record<string, string> = {}): number | undefined {
    return this.#of(name, labels)[0]?.value;
  }

  /** A total since its process began. */
  total(name: string, labels: Record<string, string> = {}): number {
    return this.#of(name, labels).reduce((sum, one) => sum + one.value, 0);
  }

  /**
   * The value that a share of what a histogram counted in between stays under, by straight lines within its buckets, as Prometheus'
   * `histogram_quantile` does; undefined when it counted nothing.
   */
  quantile(share: number, name: string, labels: Record<string, string> = {}): number | undefined {
    const buckets = [...this.grownBy('le', `${name}_bucket`, labels)]
      .map(([le, count]) => ({ le: le === '+Inf' ? Infinity : Number(le), count }))
      .sort((a, b) => a.le - b.le);
    const all = buckets.at(-1)?.count ?? 0;
    if (all === 0) return undefined;
    const wanted = share * all;
    const at = buckets.findIndex(({ count }) => count >= wanted);
    const { le, count } = buckets[at]!;
    const before = buckets[at - 1] ?? { le: 0, count: 0 };
    // Beyond the last bound nothing is known but that.
    if (le === Infinity) return before.le;
    return before.le + ((le - before.le) * (wanted - before.count)) / Math.max(1, count - before.count);
  }

  #of(name: string, labels: Record<string, string>): Sample[] {
    const isAsked = (one: Sample): boolean => Object.entries(labels).every(([key, value]) => one.labels[key] === value);
    return this.#now.filter((one) => one.name === name && isAsked(one));
  }

  #growth(one: Sample): number {
    const before = this.#before.get(keyOf(one)) ?? 0;
    return one.value >= before ? one.value - before : one.value;
  }
}

function keyOf({ name, labels }: Sample): string {
  return JSON.stringify([name, Object.entries(labels).sort()]);
}
