import type { Client, WorkflowExecutionStatusName } from '@temporalio/client';
import { LookalikeError } from '../../contracts/errors.ts';
import { SEARCH_ATTRIBUTES } from '../../contracts/search-attributes.ts';
import type { Config } from '../config/env.ts';

export interface ListedWorkflow {
  workflowId: string;
  runId: string;
  kind: string;
  status: WorkflowExecutionStatusName;
  /** What the run itself says: `running`, `serving`, `rejected`, … */
  outcome: string | null;
  catalogue: string | null;
  model: string | null;
  generation: string | null;
  startTime: string;
  closeTime: string | null;
}

/** Newest first. Visibility lags the runs by moments. @throws LookalikeError `invalidInput` for a name with a quote */
export async function listWorkflows(
  client: Client,
  { catalogue, kind, limit }: { catalogue?: string; kind?: string; limit: number },
): Promise<ListedWorkflow[]> {
  const filters = [
    catalogue === undefined ? [] : [`${SEARCH_ATTRIBUTES.catalogue} = ${quoted(catalogue)}`],
    kind === undefined ? [] : [`${SEARCH_ATTRIBUTES.kind} = ${quoted(kind)}`],
  ].flat();
  const query = filters.length > 0 ? filters.join(' AND ') : undefined;
  const found: ListedWorkflow[] = [];
  for await (const run of client.workflow.list({ query, pageSize: Math.min(limit, 100) })) {
    if (found.length >= limit) break;
    const attributes = new Map(run.typedSearchAttributes.getAll().map(({ key, value }) => [key.name, String(value)]));
    found.push({
      workflowId: run.workflowId,
      runId: run.runId,
      kind: run.type,
      status: run.status.name,
      outcome: attributes.get(SEARCH_ATTRIBUTES.status) ?? null,
      catalogue: attributes.get(SEARCH_ATTRIBUTES.catalogue) ?? null,
      model: attributes.get(SEARCH_ATTRIBUTES.model) ?? null,
      generation: attributes.get(SEARCH_ATTRIBUTES.generation) ?? null,
      startTime: run.startTime.toISOString(),
      closeTime: run.closeTime?.toISOString() ?? null,
    });
  }
  return found;
}

/** Where a person looks at a run. */
export function workflowUrl({ temporal }: Pick<Config, 'temporal'>, workflowId: string, runId: string): string {
  const { uiUrl, namespace } = temporal;
  return `${uiUrl}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}/${runId}/history`;
}

function quoted(value: string): string {
  if (!/^[\w .:/-]*$/.test(value)) {
    throw new LookalikeError(
      'invalidInput',
      `Expected a name of letters, digits, ". : / - _", got ${JSON.stringify(value)}.`,
    );
  }
  return `'${value}'`;
}
