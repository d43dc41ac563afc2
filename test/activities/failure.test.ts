import { ApplicationFailure, CancelledFailure } from '@temporalio/activity';
import { describe, expect, it } from 'vitest';
import { toFailure } from '../../activities/failure.ts';
import { ERROR_CODES, LookalikeError } from '../../contracts/errors.ts';
import type { ErrorCode } from '../../contracts/errors.ts';

const aborted = (reason: string): AbortSignal => AbortSignal.abort(new CancelledFailure(reason));

describe('toFailure', () => {
  it.each(Object.entries(ERROR_CODES))(
    'carries %s as the type and retries it as its definition says',
    (code, { retryable }) => {
      const failure = toFailure(new LookalikeError(code as ErrorCode, 'Expected a, got b.', { dim: 3 }));
      expect(failure).toBeInstanceOf(ApplicationFailure);
      expect(failure).toMatchObject({ type: code, message: 'Expected a, got b.', nonRetryable: !retryable });
      expect((failure as ApplicationFailure).details).toEqual([{ dim: 3 }]);
    },
  );

  it('keeps a cancel a cancel, whichever way the work noticed it', () => {
    const abortError = new DOMException('stopped', 'AbortError');
    for (const error of [new LookalikeError('cancelled', 'stopped'), abortError, new CancelledFailure('CANCELLED')]) {
      expect(toFailure(error, aborted('CANCELLED'))).toBeInstanceOf(CancelledFailure);
    }
  });

  it('asks for another worker when this one shuts down', () => {
    const failure = toFailure(new LookalikeError('cancelled', 'stopped'), aborted('WORKER_SHUTDOWN'));
    expect(failure).toMatchObject({ type: 'unavailable', nonRetryable: false });
  });

  it('reports the real failure even if a cancel came meanwhile', () => {
    const failure = toFailure(new LookalikeError('corruptArtifact', 'bad bytes'), aborted('CANCELLED'));
    expect(failure).toMatchObject({ type: 'corruptArtifact', nonRetryable: true });
  });

  it('leaves a bug retryable and names it unexpected', () => {
    expect(toFailure(new TypeError('x is undefined'))).toMatchObject({ type: 'unexpected', message: 'x is undefined' });
    expect(toFailure('text')).toMatchObject({ type: 'unexpected', message: 'text' });
  });
});
