/** Provides what the product downloads or builds on first use, as `up` does, before the tests ask for it; plain progress lines. */
import { errorMessage } from '../contracts/errors.ts';
import { loadConfig } from '../infra/config/env.ts';
import { provisionAll } from '../infra/provision/report.ts';

const told = new Map<string, string>();
try {
  const provided = await provisionAll(loadConfig(), ({ what, phase, detail }) => {
    // Fractions change many times a second; a log wants each phase once.
    if (told.get(what) === phase) return;
    told.set(what, phase);
    console.log(`${what}: ${phase}, ${detail}`);
  });
  for (const { what, seconds, reused, missing } of provided) {
    const how = missing === null ? (reused ? 'reused' : 'provided') : `missing: ${missing}`;
    console.log(`${what}: ${how} after ${seconds.toFixed(1)} s`);
  }
} catch (error) {
  console.error(errorMessage(error));
  process.exitCode = 1;
}
