import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { expect, test } from 'vitest';
import { toFailure } from '../../../activities/failure.ts';
import { switchFailure } from '../../../infra/temporal/serve-client.ts';

const failed = (cause: Error) => switchFailure(new WorkflowUpdateFailedError('the update failed', cause));

test.each(['corruptArtifact', 'unavailable'])('a switch that is answered with %s keeps its code, for good', (code) => {
  const error = failed(ApplicationFailure.nonRetryable('Generation 2 did not come up.', code));
  expect(error).toMatchObject({ code, message: 'Generation 2 did not come up.' });
  expect(toFailure(error)).toMatchObject({ type: code, nonRetryable: true });
});

test.each([new CancelledFailure('ended'), ApplicationFailure.retryable('ended', 'AcceptedUpdateCompletedWorkflow')])(
  'a switch whose supervisor ended is asked for again',
  (cause) => {
    expect(toFailure(failed(cause))).toMatchObject({ type: 'unavailable', nonRetryable: false });
  },
);
