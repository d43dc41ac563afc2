/** Invariant: at most one `run` is between its start and its end; the others wait in the order they came. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    // The next in line waits for the end, whatever it was; the failure itself belongs to the caller.
    this.#last = result.catch(() => undefined);
    return result;
  }
}
