import { isAlive, residentBytes } from '../infra/supervisor/process-identity.ts';
import type { RunState } from '../infra/supervisor/run-state.ts';
import { table } from './table.ts';

/** Where everything is, for people. */
export function describeUrls({ urls }: Pick<RunState, 'urls'>): string {
  return [
    `Page         ${urls.page}`,
    `API          ${urls.api}`,
    `OpenAPI      ${urls.openapi} (to try it: ${urls.api}/docs)`,
    `Temporal UI  ${urls.temporalUi}`,
  ].join('\n');
}

/** The processes of a stack as they are now. */
export function describeProcesses(state: RunState): string {
  return table(
    ['PROCESS', 'STATUS', 'PID', 'MEMORY', 'RESTARTS'],
    state.processes.map((row) => {
      const alive = row.process !== null && isAlive(row.process);
      const bytes = alive && row.process !== null ? residentBytes(row.process.pid) : undefined;
      return [
        row.name,
        alive || row.process === null ? row.status : 'gone',
        alive && row.process !== null ? String(row.process.pid) : '-',
        bytes === undefined ? '-' : `${Math.round(bytes / 1024 / 1024)} MB`,
        row.numRestarts,
      ];
    }),
  );
}

export function describeStack(state: RunState): string {
  return `${describeUrls(state)}\n\n${describeProcesses(state)}`;
}
