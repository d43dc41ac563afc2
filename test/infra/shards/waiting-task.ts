import { answerTask } from '../../../infra/shards/answer-task.ts';
import { LookalikeError } from '../../../contracts/errors.ts';

/** Tells its process id and waits to be ended; or answers, or fails, at once. */
await answerTask<{ then: 'wait' | 'answer' | 'fail' | 'end'; values: Float32Array }, Float32Array>(
  async ({ then, values }, onProgress) => {
    if (then === 'fail') throw new LookalikeError('conflict', 'Expected nothing.', { got: 1 });
    if (then === 'end') process.exit(7);
    onProgress(process.pid, 0);
    if (then === 'wait') await new Promise((resolve) => setInterval(resolve, 2 ** 30));
    return values.map((value) => 2 * value);
  },
);
