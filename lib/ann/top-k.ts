/** Keeps the best `k` of a stream of (score, row). Invariant: a binary heap whose root is the worst kept pair. */
export class TopK {
  readonly #scores: Float32Array;
  readonly #rows: Int32Array;
  #size = 0;

  constructor(k: number) {
    this.#scores = new Float32Array(k);
    this.#rows = new Int32Array(k);
  }

  /** Total order, so that equal scores always keep the lower rows: true when (score, row) is worse than entry `i`. */
  #worse(score: number, row: number, i: number): boolean {
    const other = this.#scores[i]!;
    return score < other || (score === other && row > this.#rows[i]!);
  }

  push(score: number, row: number): void {
    const k = this.#scores.length;
    if (this.#size < k) {
      this.#siftUp(score, row);
    } else if (k > 0 && !this.#worse(score, row, 0)) {
      this.#siftDown(score, row, k);
    }
  }

  /** Best first. The heap is spent. */
  drain(): { rows: Int32Array; scores: Float32Array } {
    const size = this.#size;
    const rows = new Int32Array(size);
    const scores = new Float32Array(size);
    for (let end = size - 1; end >= 0; end--) {
      rows[end] = this.#rows[0]!;
      scores[end] = this.#scores[0]!;
      this.#siftDown(this.#scores[end]!, this.#rows[end]!, end);
    }
    this.#size = 0;
    return { rows, scores };
  }

  #siftUp(score: number, row: number): void {
    let i = this.#size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#worse(score, row, parent)) break;
      this.#set(i, this.#scores[parent]!, this.#rows[parent]!);
      i = parent;
    }
    this.#set(i, score, row);
  }

  #siftDown(score: number, row: number, size: number): void {
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#worse(this.#scores[child + 1]!, this.#rows[child + 1]!, child)) child++;
      if (this.#worse(score, row, child)) break;
      this.#set(i, this.#scores[child]!, this.#rows[child]!);
      i = child;
    }
    this.#set(i, score, row);
  }

  #set(i: number, score: number, row: number): void {
    this.#scores[i] = score;
    this.#rows[i] = row;
  }
}
