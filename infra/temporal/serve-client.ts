import {
  WithStartWorkflowOperation,
  WorkflowExecutionAlreadyStartedError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import type { Client, WorkflowStartOptions, Workflow } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { ERROR_CODES, LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { ErrorCode } from '../../contracts/errors.ts';
import { TASK_QUEUES } from '../../contracts/queues.ts';
import { SERVING_STATE, SWITCH_GENERATION, WORKFLOWS, workflowIds } from '../../contracts/workflows.ts';
import type {
  ServeIndexInput,
  ServingState,
  ServingTarget,
  SwitchGenerationOutput,
} from '../../contracts/workflows.ts';
import { startAttributes } from './attributes.ts';

/**
 * Asks the catalogue's supervisor, started if it does not run, to switch to `target` and waits for its answer. Repeating it with
 * the same `request` joins the switch under way.
 * @param serving what the supervisor should keep alive if it has to be started
 * @param request who asks, unique per wish: the asking workflow's run
 * @throws SwitchRefused the target did not come up; the one before goes on serving
 * @throws LookalikeError `unavailable` the supervisor ended without an answer
 */
export async function requestSwitch(
  client: Client,
  catalogue: string,
  target: ServingTarget,
  serving: ServingTarget | null,
  request: string,
): Promise<SwitchGenerationOutput> {
  try {
    return await client.workflow.executeUpdateWithStart<Workflow, SwitchGenerationOutput, [ServingTarget]>(
      SWITCH_GENERATION,
      {
        args: [target],
        updateId: `generation-${target.generation}-${request}`,
        startWorkflowOperation: new WithStartWorkflowOperation(WORKFLOWS.serveIndex, {
          ...supervisor(catalogue, serving),
          workflowIdConflictPolicy: 'USE_EXISTING',
        }),
      },
    );
  } catch (error) {
    if (!(error instanceof WorkflowUpdateFailedError)) throw error;
    throw switchFailure(error);
  }
}

/** The supervisor's own answer, with its code. Temporal keeps it: the same request gets it again, whatever the code. */
export class SwitchRefused extends LookalikeError {}

/** What a failed switch says: the supervisor's answer, or that there is none because the supervisor ended. */
export function switchFailure(error: WorkflowUpdateFailedError): LookalikeError {
  const { cause } = error;
  const message = errorMessage(cause ?? error);
  const code = cause instanceof ApplicationFailure ? cause.type : null;
  if (isErrorCode(code)) return new SwitchRefused(code, message, {}, { cause: error });
  return new LookalikeError('unavailable', message, {}, { cause: error });
}

function isErrorCode(type: string | null | undefined): type is ErrorCode {
  return typeof type === 'string' && Object.hasOwn(ERROR_CODES, type);
}

/** Starts the supervisor of a catalogue that has something to serve, unless it runs. Safe to repeat. */
export async function ensureSupervisor(client: Client, catalogue: string, serving: ServingTarget): Promise<boolean> {
  try {
    await client.workflow.start(WORKFLOWS.serveIndex, {
      ...supervisor(catalogue, serving),
      workflowIdConflictPolicy: 'FAIL',
    });
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

/** What the supervisor of a catalogue knows; needs an orchestrator worker. */
export async function servingState(client: Client, catalogue: string): Promise<ServingState> {
  return client.workflow.getHandle(workflowIds.serve(catalogue)).query<ServingState>(SERVING_STATE);
}

function supervisor(catalogue: string, serving: ServingTarget | null): WorkflowStartOptions {
  const input: ServeIndexInput = { catalogue, serving };
  return {
    workflowId: workflowIds.serve(catalogue),
    taskQueue: TASK_QUEUES.orchestrator,
    args: [input],
    typedSearchAttributes: startAttributes(WORKFLOWS.serveIndex, catalogue),
    staticSummary: `Keeps ${catalogue} searchable`,
  };
}
