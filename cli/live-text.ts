/** Text on stderr that is written over itself where that is a terminal; elsewhere nothing is shown. */
export class LiveText {
  readonly #stream: NodeJS.WriteStream;
  #numLines = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** Rows that fit on the screen. */
  get rows(): number {
    return this.#stream.rows || 24;
  }

  show(text: string): void {
    if (!this.#stream.isTTY) return;
    const width = this.#stream.columns || 80;
    // A line that wraps would count as one and leave its rest behind.
    const lines = text.split('\n').map((line) => [...line].slice(0, width - 1).join(''));
    this.#stream.write(`${this.#back()}${lines.join('\n')}\n`);
    this.#numLines = lines.length;
  }

  clear(): void {
    if (this.#numLines > 0) this.#stream.write(this.#back());
    this.#numLines = 0;
  }

  /** To the first line of what was shown, all of it erased. */
  #back(): string {
    return this.#numLines === 0 ? '' : `\u001b[${this.#numLines}F\u001b[J`;
  }
}
