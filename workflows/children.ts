import type { SearchAttributePair } from '@temporalio/common';
import { executeChild, workflowInfo } from '@temporalio/workflow';
import type { ChildWorkflowOptions, Workflow } from '@temporalio/workflow';
import { workflowIds } from '../contracts/workflows.ts';
import { catalogueKey, kindKey, statusKey } from './messages.ts';

/** A step as a child workflow: it dies with its parent, and a cancelled parent waits until it has stopped. */
export async function runChild<T extends Workflow>(
  workflow: T,
  step: string,
  catalogue: string,
  input: Parameters<T>[0],
  summary: string,
): Promise<Awaited<ReturnType<T>>> {
  const options: ChildWorkflowOptions = {
    workflowId: workflowIds.step(workflowInfo().workflowId, step),
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    parentClosePolicy: 'REQUEST_CANCEL',
    staticSummary: summary,
    typedSearchAttributes: labels(workflow.name, catalogue),
    memo: { step },
  };
  return (await executeChild(workflow, { ...options, args: [input] } as never)) as Awaited<ReturnType<T>>;
}

/** The search attributes that every run carries from its start. */
export function labels(kind: string, catalogue: string): SearchAttributePair[] {
  return [
    { key: kindKey, value: kind },
    { key: catalogueKey, value: catalogue },
    { key: statusKey, value: 'running' },
  ];
}
