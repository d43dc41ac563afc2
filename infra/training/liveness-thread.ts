/** Thread of a child process that tells the parent, beside its main thread, that the process is neither frozen nor gone. */
import { writeSync } from 'node:fs';
import { BEAT_EVERY_MS, LIVENESS_FD } from './protocol.ts';

function beat(): void {
  try {
    writeSync(LIVENESS_FD, '.');
  } catch (error) {
    // A pipe that is full will be read; one without a reader means that the parent is gone, perhaps in the middle of a long step.
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') process.kill(process.pid, 'SIGKILL');
  }
}

beat();
setInterval(beat, BEAT_EVERY_MS);
