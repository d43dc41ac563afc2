import { setCurrentDetails } from '@temporalio/workflow';
import type { RetrainProgress } from '../contracts/workflows.ts';
import { rootMessage } from './failure.ts';

type Step = RetrainProgress['steps'][number];

/** What a step gives back: its value, one line for people, and whether the result was found already made. */
export interface StepResult<T> {
  value: T;
  detail: string;
  reused?: boolean;
}

/** Keeps the table that the `progress` query answers and that the Temporal UI shows as current details. */
export interface StepTable {
  progress(): RetrainProgress;
  /** Names of the steps that found their result already made. */
  reused(): string[];
  run<T>(name: string, step: () => Promise<StepResult<T>>): Promise<T>;
  detail(name: string, detail: string): void;
}

/**
 * @param names all steps in order; each starts as `waiting`
 * @param more Markdown below the table in the current details
 */
export function stepTable(names: readonly string[], more: () => string = () => ''): StepTable {
  const steps: Step[] = names.map((name) => ({ name, status: 'waiting', detail: '' }));

  function set(name: string, change: Partial<Step>): void {
    const step = steps.find((candidate) => candidate.name === name);
    if (step !== undefined) Object.assign(step, change);
    setCurrentDetails([markdown(steps), more()].filter(Boolean).join('\n\n'));
  }

  return {
    progress: () => ({ steps: steps.map((step) => ({ ...step })) }),
    reused: () => steps.filter((step) => step.status === 'reused').map((step) => step.name),
    detail: (name, detail) => set(name, { detail }),
    async run(name, step) {
      set(name, { status: 'running', detail: '' });
      try {
        const { value, detail, reused } = await step();
        set(name, { status: reused === true ? 'reused' : 'done', detail });
        return value;
      } catch (error) {
        set(name, { status: 'failed', detail: rootMessage(error) });
        throw error;
      }
    },
  };
}

function markdown(steps: Step[]): string {
  const rows = steps.map(({ name, status, detail }) => `| ${name} | ${status} | ${detail.replaceAll('|', '\\|')} |`);
  return ['| step | status | detail |', '|---|---|---|', ...rows].join('\n');
}
