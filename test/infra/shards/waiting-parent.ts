/** A process that starts a task and waits for it; prints the task's process id. */
import { runTaskProcess } from '../../../infra/shards/heavy-task.ts';

const input = { then: 'wait', values: new Float32Array(1) };
await runTaskProcess('../../test/infra/shards/waiting-task', input, undefined, (pid) => console.log(pid));
