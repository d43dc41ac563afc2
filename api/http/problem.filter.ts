import { Catch, Inject } from '@nestjs/common';
import type { ArgumentsHost, ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from '../../infra/log/logger.ts';
import { LOGGER } from '../ports.ts';
import { toProblem } from '../problem.ts';
import type { Problem } from '../problem.ts';

/** Answers every failure, the framework's own included, as `application/problem+json`. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger: Logger;

  constructor(@Inject(LOGGER) logger: Logger) {
    this.logger = logger;
  }

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const problem = toProblem(error, request.id);
    if (problem.status === 500) this.logger.error({ err: error, requestId: request.id }, 'request failed');
    sendProblem(reply, problem);
  }
}

/** Sends a problem unless an answer is already under way. */
export function sendProblem(reply: FastifyReply, problem: Problem): void {
  if (reply.sent || reply.raw.headersSent) return;
  reply.header('x-request-id', problem.requestId);
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="lookalike"');
  if (problem.status === 503) reply.header('retry-after', '2');
  // As text: a Fastify serializer must not reshape it.
  void reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}
