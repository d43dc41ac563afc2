import { pino } from 'pino';
import type { Logger } from 'pino';
import type { Config } from '../config/env.ts';

export type { Logger };

/** Structured JSON logs on stderr, so that stdout stays free for results; secrets are redacted. */
export function createLogger(config: Pick<Config, 'logLevel'>, name: string): Logger {
  return pino(
    {
      name,
      level: config.logLevel,
      redact: ['token', '*.token', 'authorization', '*.authorization', 'apiKey', '*.apiKey'],
    },
    pino.destination({ dest: 2, sync: false }),
  );
}
