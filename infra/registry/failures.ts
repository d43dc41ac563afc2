import { errorMessage, isLookalikeError, LookalikeError } from '../../contracts/errors.ts';

/** What a database says when it does not answer now but may later: network, restart, too many clients, lost races. */
const PASSING = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'SQLITE_BUSY',
  'SQLITE_LOCKED',
  // PostgreSQL classes: connection, too many resources, operator intervention, serialisation failure and deadlock.
  '08',
  '53',
  '57P',
  '40',
];

/** The same store, its methods failing with `unavailable` where trying again can help. */
export function translateFailures<T extends object>(store: T): T {
  const wrapped = Object.entries(store).map(([name, method]) => [
    name,
    (...args: unknown[]) => guarded(() => (method as (...args: unknown[]) => Promise<unknown>)(...args)),
  ]);
  return Object.fromEntries(wrapped) as T;
}

/** Runs one piece of database work with failures told apart. */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isLookalikeError(error) || !isPassing(error)) throw error;
    throw new LookalikeError(
      'unavailable',
      `Expected the registry's database to answer, got "${errorMessage(error)}". It is tried again; check that it runs.`,
      {},
      { cause: error },
    );
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isPassing);
  if (!(error instanceof Error)) return false;
  if (/Connection terminated|timeout exceeded when trying to connect/.test(error.message)) return true;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return PASSING.some((prefix) => code.startsWith(prefix));
}
