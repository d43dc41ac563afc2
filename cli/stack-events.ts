import type { StackEvent } from '../infra/supervisor/stack.ts';
import type { ProgressDisplay, Task } from './progress.ts';

/** Shows how a stack starts: one bar per thing that is provided, one line per change of a process. */
export function stackReporter(progress: ProgressDisplay): (event: StackEvent) => void {
  const tasks = new Map<string, Task>();
  return (event) => {
    if (event.type === 'phase') {
      progress.line(`• ${event.text}`);
    } else if (event.type === 'process') {
      progress.line(`  ${event.row.name}: ${event.row.status}, ${event.reason}`);
    } else {
      const { what, phase, detail, fraction } = event.event;
      const task = tasks.get(what) ?? progress.task(what, '');
      tasks.set(what, task);
      if (phase === 'done') task.finish(detail);
      else if (phase === 'reused') task.finish(`reused, ${detail}`);
      else task.update(fraction ?? 0, fraction === null ? null : 1, `${phase}: ${detail}`);
    }
  };
}
