import { ApplicationFailure, isCancellation } from '@temporalio/workflow';
import type { SwitchAnswer, SwitchGenerationOutput } from '../contracts/workflows.ts';

/** Far more than can be repeated: a request is repeated only until whoever sent it has the answer. */
const MAX_ANSWERS = 100;

/**
 * What switch requests were answered. The server remembers it for the run that answered; this carries it into later runs, so
 * that a request whose answer got lost on the way is not carried out a second time, perhaps after a newer one.
 */
export class SwitchAnswers {
  readonly #answers: SwitchAnswer[];

  constructor(carried: readonly SwitchAnswer[] = []) {
    this.#answers = [...carried];
  }

  /** Oldest first. */
  list(): SwitchAnswer[] {
    return this.#answers;
  }

  /** Answers a known request as before and carries out a new one. */
  async once(
    request: string | undefined,
    carryOut: () => Promise<SwitchGenerationOutput>,
  ): Promise<SwitchGenerationOutput> {
    if (request === undefined) return carryOut();
    const known = this.#answers.find((answer) => answer.request === request);
    if (known?.output) return known.output;
    if (known?.refusal) throw ApplicationFailure.nonRetryable(known.refusal.message, known.refusal.code);
    try {
      const output = await carryOut();
      this.#keep({ request, output });
      return output;
    } catch (error) {
      if (error instanceof ApplicationFailure && !isCancellation(error)) {
        this.#keep({ request, output: null, refusal: { code: error.type ?? 'unavailable', message: error.message } });
      }
      throw error;
    }
  }

  #keep(answer: SwitchAnswer): void {
    this.#answers.push(answer);
    if (this.#answers.length > MAX_ANSWERS) this.#answers.shift();
  }
}
