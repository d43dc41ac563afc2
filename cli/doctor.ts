import type { Command } from 'commander';
import { diagnose } from '../infra/doctor/diagnose.ts';
import { handles } from './run-command.ts';

const MARKS = { ok: '✔', warning: '!', missing: '✘' } as const;

/** `doctor`: what is installed, what will be used and why, and what mends the rest. Exit code 1 when something is missing. */
export function addDoctorCommand(program: Command): void {
  handles(
    program.command('doctor').description('what is installed, what will be used, and what is missing'),
    async (context) => {
      const checks = await diagnose(context.config);
      const isWell = checks.every(({ status }) => status !== 'missing');
      context.print({ ok: isWell, checks }, () =>
        checks
          .map(({ name, status, found, why, fix }) =>
            [`${MARKS[status]} ${name}: ${found}`, `    ${why}`, ...(fix === null ? [] : [`    To fix: ${fix}`])].join(
              '\n',
            ),
          )
          .join('\n'),
      );
      if (!isWell) process.exitCode = 1;
    },
  );
}
