import type { LoggerService } from '@nestjs/common';
import type { Logger } from '../../infra/log/logger.ts';

/** Nest's own messages go where all others go; its start-up chatter only shows at level debug. */
export function nestLogger(logger: Logger): LoggerService {
  const text = (message: unknown): string => (message instanceof Error ? message.message : String(message));
  return {
    log: (message: unknown) => logger.debug(text(message)),
    verbose: (message: unknown) => logger.trace(text(message)),
    debug: (message: unknown) => logger.debug(text(message)),
    warn: (message: unknown) => logger.warn(text(message)),
    error: (message: unknown, stack?: unknown) => logger.error({ stack }, text(message)),
    fatal: (message: unknown) => logger.fatal(text(message)),
  };
}
