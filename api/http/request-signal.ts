import { createParamDecorator } from '@nestjs/common';
import type { ExecutionContext } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { LookalikeError } from '../../contracts/errors.ts';

/** Injects a signal that aborts, with a domain error as its reason, when the client hangs up. */
export const RequestSignal = createParamDecorator((_: unknown, context: ExecutionContext): AbortSignal => {
  const { raw } = context.switchToHttp().getResponse<FastifyReply>();
  const controller = new AbortController();
  raw.once('close', () => {
    if (raw.writableFinished) return;
    controller.abort(new LookalikeError('cancelled', 'The client closed the connection before the answer was ready.'));
  });
  return controller.signal;
});

/** Aborts with the given signal, or with `timeout` after `deadlineMs`. Dispose it to stop the clock. */
export function withDeadline(signal: AbortSignal, deadlineMs: number): { signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const expire = (): void =>
    controller.abort(new LookalikeError('timeout', `Expected an answer within ${deadlineMs} ms; it took longer.`));
  const timer = setTimeout(expire, deadlineMs);
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}
