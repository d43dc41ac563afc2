/**
 * A small process that outlives its supervisor by a moment: when the supervisor dies without a word (kill -9), it stops the
 * processes that were left. It reads JSON lists of process identities from its standard input, one per line, the last one
 * counts; the end of the input means the supervisor is gone. A supervisor that stops in order sends an empty list first.
 */
import { createInterface } from 'node:readline';
import type { ProcessIdentity } from './process-identity.ts';
import { stopProcess } from './process-identity.ts';

/** The longest that any process may drain under its supervisor (plan.ts): whoever asks, it gets the same time. */
const GRACE_MS = 15_000;

// The terminal's Ctrl-C and a polite stop are the supervisor's to handle; it ends the guardian by closing the input.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

let wards: ProcessIdentity[] = [];
for await (const line of createInterface({ input: process.stdin })) {
  wards = JSON.parse(line) as ProcessIdentity[];
}
await Promise.all(wards.map((ward) => stopProcess(ward, GRACE_MS)));
