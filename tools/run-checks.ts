/**
 * All checks of the project, one after another: build, what tests need from outside, types, lint, format, then the test tiers. Nothing stops the rest. The
 * last line of its output is `N passed, N failed, N skipped`, counted from the test runner's JSON reports in test-results/;
 * a check that is no test counts when it fails. The exit code is 0 only if nothing failed.
 *
 *   node tools/run-checks.ts [name ...]
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const REPORTS = 'test-results';
const STATIC = ['build', 'provision', 'typecheck', 'lint', 'format:check'];
const TIERS = ['unit', 'unit-slow', 'workflow', 'e2e'];

const Report = z.object({
  success: z.boolean(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().default(''),
      assertionResults: z.array(
        z.object({
          status: z.string(),
          fullName: z.string(),
          failureMessages: z
            .array(z.string())
            .nullish()
            .transform((messages) => messages ?? []),
        }),
      ),
    }),
  ),
});

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

const wanted = process.argv.slice(2);
const isWanted = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
const unknown = wanted.filter((name) => ![...STATIC, ...TIERS].includes(name));
if (unknown.length > 0) {
  console.error(`Expected names among ${[...STATIC, ...TIERS].join(', ')}, got ${unknown.join(', ')}.`);
  process.exit(2);
}

rmSync(REPORTS, { recursive: true, force: true });
mkdirSync(REPORTS, { recursive: true });
const total: Count = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];
/** What failed and why, told last: the end of a long log is what people read, and all that some keep. */
const reasons: string[] = [];

for (const name of STATIC.filter(isWanted)) {
  if (run(name, 'npm', ['run', '--silent', name]) === 0) continue;
  total.failed++;
  failures.push(name);
}
for (const tier of TIERS.filter(isWanted)) {
  const report = join(REPORTS, `${tier}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const status = run(tier, 'npx', ['--no-install', 'vitest', 'run', '--project', tier, ...reporters]);
  const count = countsOf(report);
  // A runner that failed without naming a test has failed all the same.
  if (status !== 0 && count.failed === 0) count.failed = 1;
  if (count.failed > 0) failures.push(tier);
  total.passed += count.passed;
  total.failed += count.failed;
  total.skipped += count.skipped;
}

for (const reason of reasons) console.log(`\n${reason}`);
if (failures.length > 0) console.log(`\nFailed: ${failures.join(', ')}`);
const summary = `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`;
writeFileSync(join(REPORTS, 'summary.txt'), `${summary}\n`);
console.log(summary);
process.exitCode = total.failed === 0 ? 0 : 1;

function run(title: string, command: string, args: string[]): number {
  console.log(`\n=== ${title}`);
  const startedAt = performance.now();
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
  console.log(`=== ${title}: ${status === 0 ? 'ok' : 'FAILED'} after ${seconds} s`);
  return status ?? 1;
}

function countsOf(report: string): Count {
  const count: Count = { passed: 0, failed: 0, skipped: 0 };
  let files: z.output<typeof Report>['testResults'];
  try {
    files = Report.parse(JSON.parse(readFileSync(report, 'utf8'))).testResults;
  } catch {
    // The runner ended before it wrote a report; its exit code says that it failed.
    return count;
  }
  for (const file of files) {
    for (const { status, fullName, failureMessages } of file.assertionResults) {
      if (status === 'passed') count.passed++;
      else if (status === 'failed') {
        count.failed++;
        reasons.push(reasonOf(`${file.name}: ${fullName}`, failureMessages.join('\n')));
      } else count.skipped++;
    }
    // A file that could not be loaded holds no test that could fail.
    if (file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed')) {
      count.failed++;
      reasons.push(reasonOf(file.name, file.message));
    }
  }
  return count;
}

function reasonOf(what: string, message: string): string {
  return `failed: ${what}\n${message.split('\n').slice(0, 12).join('\n')}`;
}
