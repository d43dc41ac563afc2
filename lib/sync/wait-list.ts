import { LookalikeError } from '../../contracts/errors.ts';

interface Waiter<T> {
  step: number;
  resolve: (value: T) => void;
  reject: (error: Error) => void;
}

/** Those who wait for a step. Invariant: each is settled exactly once, and then forgotten, its abort listener too. */
export class WaitList<T> {
  #waiters = new Set<Waiter<T>>();

  wait(step: number, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void): void => {
        this.#waiters.delete(waiter);
        signal?.removeEventListener('abort', onAbort);
        then();
      };
      const waiter: Waiter<T> = {
        step,
        resolve: (value) => settle(() => resolve(value)),
        reject: (error) => settle(() => reject(error)),
      };
      const onAbort = (): void =>
        waiter.reject(new LookalikeError('cancelled', `Waiting for step ${step} was cancelled.`));
      this.#waiters.add(waiter);
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Settles those who waited for `step` or an earlier one; `make` runs once for each. */
  reach(step: number, make: () => T): void {
    for (const waiter of [...this.#waiters]) if (waiter.step <= step) waiter.resolve(make());
  }

  rejectAll(error: Error): void {
    for (const waiter of [...this.#waiters]) waiter.reject(error);
  }
}
