import { clearScreenDown, moveCursor } from 'node:readline';
import type { RunState } from '../infra/supervisor/run-state.ts';
import { describeProcesses } from './describe-stack.ts';

const EVERY_MS = 2_000;

/** The table of processes at the bottom of a terminal, drawn again every two seconds and after each message. */
export class LiveStatus {
  readonly #stream: NodeJS.WriteStream;
  readonly #state: () => RunState;
  readonly #timer: NodeJS.Timeout;
  #height = 0;

  constructor(stream: NodeJS.WriteStream, state: () => RunState) {
    this.#stream = stream;
    this.#state = state;
    this.#timer = setInterval(() => this.#draw(), EVERY_MS);
    this.#draw();
  }

  /** Makes room for a message; the table comes back below it. */
  pause(): void {
    this.#erase();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  #draw(): void {
    this.#erase();
    const text = `\n${describeProcesses(this.#state())}\nCtrl-C drains and stops.\n`;
    this.#stream.write(text);
    this.#height = text.split('\n').length - 1;
  }

  #erase(): void {
    if (this.#height === 0) return;
    moveCursor(this.#stream, 0, -this.#height);
    clearScreenDown(this.#stream);
    this.#height = 0;
  }
}
