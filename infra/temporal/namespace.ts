import { setTimeout as delay } from 'node:timers/promises';
import { isGrpcServiceError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import { SEARCH_ATTRIBUTES } from '../../contracts/search-attributes.ts';
import type { Logger } from '../log/logger.ts';

/** gRPC status numbers. */
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
/** `INDEXED_VALUE_TYPE_KEYWORD` of the Temporal API. */
const KEYWORD = 2;
/** A new namespace becomes known to all of the server's caches within about ten seconds. */
const SETTLE_MS = 30_000;

/**
 * Registers the namespace and the search attributes where they are missing; safe to repeat. Temporal Cloud lets no client do
 * that: there the command that does is in the error. @throws LookalikeError `missingDependency`
 */
export async function prepareNamespace(client: Client, logger: Logger): Promise<void> {
  const { namespace } = client.options;
  await registerNamespace(client, namespace, logger);
  const missing = await settled(() => missingAttributes(client, namespace));
  if (missing.length === 0) return;
  try {
    const searchAttributes = Object.fromEntries(missing.map((name) => [name, KEYWORD]));
    await settled(() => client.connection.operatorService.addSearchAttributes({ namespace, searchAttributes }));
  } catch (error) {
    if (!hasCode(error, ALREADY_EXISTS)) throw notAllowed(namespace, missing, error);
  }
  const until = Date.now() + SETTLE_MS;
  while ((await missingAttributes(client, namespace)).length > 0 && Date.now() < until) await delay(100);
  logger.info({ namespace, searchAttributes: missing }, 'search attributes registered');
}

async function registerNamespace(client: Client, namespace: string, logger: Logger): Promise<void> {
  if (await namespaceExists(client, namespace)) return;
  try {
    await client.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: { seconds: 30 * 24 * 3600 } as never,
    });
    logger.info({ namespace }, 'namespace registered');
  } catch (error) {
    if (!hasCode(error, ALREADY_EXISTS)) throw notAllowed(namespace, [], error);
  }
}

/** A namespace registered a moment ago is not found by every part of the server yet. */
async function settled<T>(call: () => Promise<T>): Promise<T> {
  const until = Date.now() + SETTLE_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!hasCode(error, NOT_FOUND) || Date.now() > until) throw error;
      await delay(200);
    }
  }
}

async function namespaceExists(client: Client, namespace: string): Promise<boolean> {
  try {
    await client.workflowService.describeNamespace({ namespace });
    return true;
  } catch (error) {
    if (hasCode(error, NOT_FOUND)) return false;
    throw error;
  }
}

async function missingAttributes(client: Client, namespace: string): Promise<string[]> {
  const { customAttributes } = await client.connection.operatorService.listSearchAttributes({ namespace });
  return Object.values(SEARCH_ATTRIBUTES).filter((name) => !(name in customAttributes));
}

function hasCode(error: unknown, code: number): boolean {
  return isGrpcServiceError(error) && (error.code as number) === code;
}

function notAllowed(namespace: string, attributes: string[], error: unknown): LookalikeError {
  const flags = attributes.map((name) => `--search-attribute ${name}=Keyword`).join(' ');
  return new LookalikeError(
    'missingDependency',
    `Expected to prepare the Temporal namespace ${namespace}, but the server refused: ${errorMessage(error)} ` +
      `On Temporal Cloud, once: \`tcld namespace search-attributes add --namespace ${namespace} ${flags}\`.`,
    {},
    { cause: error },
  );
}
