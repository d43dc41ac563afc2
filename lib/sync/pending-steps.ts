import { LookalikeError } from '../../contracts/errors.ts';
import type { Push, PushOutcome, ShardConfig } from './protocol.ts';

/** How far back it is known which slices took part; a repetition that comes later than that counts as dropped. */
const REMEMBERED_STEPS = 1024;

/**
 * Gradients of steps that are not complete. Invariants: only steps `next` … `next + staleness` are held, each slice at most once;
 * a step leaves when `numSlices - backups` slices have come and every earlier step has left.
 */
export class PendingSteps {
  readonly #numSlices: number;
  readonly #numNeeded: number;
  readonly #sums: Float64Array;
  readonly #steps = new Map<number, Map<number, Push>>();
  /** Of steps gone by that lack slices: those that took part, and those whose late push has been counted. */
  readonly #past = new Map<number, { tookPart: Set<number>; dropped: Set<number> }>();
  #next = 0;
  #numDropped = 0;

  constructor({ numSlices, consistency }: ShardConfig, length: number) {
    this.#numSlices = numSlices;
    this.#numNeeded = numSlices - (consistency.kind === 'clocked' ? consistency.backups : 0);
    this.#sums = new Float64Array(consistency.kind === 'clocked' ? length : 0);
  }

  /** Distinct pushes that came too late, since the last reset. */
  get numDropped(): number {
    return this.#numDropped;
  }

  reset(next: number): void {
    this.#steps.clear();
    this.#past.clear();
    this.#next = next;
    this.#numDropped = 0;
  }

  add(push: Push): PushOutcome {
    if (push.step < this.#next) return this.#late(push);
    let bySlice = this.#steps.get(push.step);
    if (bySlice === undefined) this.#steps.set(push.step, (bySlice = new Map<number, Push>()));
    if (bySlice.has(push.slice)) return 'duplicate';
    const [other] = bySlice.values();
    if (other !== undefined && other.learningRate !== push.learningRate) {
      throw new LookalikeError(
        'invalidInput',
        `Expected the learning rate of step ${push.step} to be ${other.learningRate}, as slice ${other.slice} has it, got ` +
          `${push.learningRate} from slice ${push.slice}: all replicas must run the same configuration.`,
      );
    }
    bySlice.set(push.slice, push);
    return 'accepted';
  }

  /** The next step's pushes in slice order, once complete, with their mean gradient written into `mean`; else null. */
  take(mean: Float32Array): Push[] | null {
    const bySlice = this.#steps.get(this.#next);
    if (bySlice === undefined || bySlice.size < this.#numNeeded) return null;
    const pushes = [...bySlice.values()].sort((a, b) => a.slice - b.slice);
    writeMean(pushes, this.#sums, mean);
    this.#steps.delete(this.#next);
    if (pushes.length < this.#numSlices) {
      this.#past.set(this.#next, { tookPart: new Set(bySlice.keys()), dropped: new Set() });
    }
    this.#past.delete(this.#next - REMEMBERED_STEPS);
    this.#next++;
    return pushes;
  }

  #late({ slice, step }: Push): PushOutcome {
    const past = this.#past.get(step);
    const isComplete =
      past === undefined && (this.#numNeeded === this.#numSlices || step >= this.#next - REMEMBERED_STEPS);
    if (isComplete || past?.tookPart.has(slice)) return 'duplicate';
    if (!past?.dropped.has(slice)) this.#numDropped++;
    past?.dropped.add(slice);
    return 'dropped';
  }
}

/** Σ w_g gradient_g / Σ w_g. Doubles hold w * gradient exactly for any real batch, so that a single slice passes through unchanged. */
function writeMean(pushes: readonly Push[], sums: Float64Array, mean: Float32Array): void {
  // What they do for one slice, without the passes: a rank of a ring has no other.
  if (pushes.length === 1) return mean.set(pushes[0]!.gradient);
  let total = 0;
  sums.fill(0);
  for (const { gradient, weight } of pushes) {
    total += weight;
    for (let i = 0; i < sums.length; i++) sums[i]! += weight * gradient[i]!;
  }
  for (let i = 0; i < sums.length; i++) mean[i] = sums[i]! / total;
}
