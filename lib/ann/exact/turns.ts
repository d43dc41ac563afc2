/** Where bytes leave more than this share of the rows open, products in f32 are sooner. */
const MAX_OPEN = 0.03;

/**
 * Whether the next rows are worth a product of bytes: until one left too many of them open, as it may before good rows have been
 * seen. After that f32 has its turn, and each time twice as long, so that rows of which bytes tell nothing cost little.
 */
export class Turns {
  readonly #k: number;
  #seen = 0;
  #compared = 0;
  #waiting = 0;
  #wait = 1;

  constructor(k: number) {
    this.#k = k;
  }

  get isCoded(): boolean {
    return this.#waiting === 0;
  }

  /** `compared`: of all rows so far, those that a query, on average, was compared with. */
  took(numRows: number, compared: number): void {
    // Each of the k best so far is compared, however well bounds hold.
    const records = this.#records(this.#seen + numRows) - this.#records(this.#seen);
    const isOpen = compared - this.#compared > 2 * records + MAX_OPEN * numRows;
    this.#seen += numRows;
    this.#compared = compared;
    if (this.#waiting > 0) {
      this.#waiting--;
    } else if (isOpen) {
      this.#waiting = this.#wait;
      this.#wait *= 2;
    }
  }

  /** Rows that are among the k best of those before them, if these come in no order. */
  #records(seen: number): number {
    return seen <= this.#k ? seen : this.#k * (1 + Math.log(seen / this.#k));
  }
}
