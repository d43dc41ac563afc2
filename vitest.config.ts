import { configDefaults, defineConfig } from 'vitest/config';

/** The tests of every folder but the workflows themselves, which need a server. */
const UNIT = ['test/{contracts,lib,infra,activities,api,cli,workers,tools}/**', 'test/workflows/policy/**'];

/**
 * Tiers. `unit` is the loop of seconds; a file that alone takes more than about two (real processes and servers, trainings, whole
 * shards) is named `*.slow.test.ts` and runs in `unit-slow`. `workflow` needs a real Temporal server; `e2e` runs the built product.
 */
export default defineConfig({
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: UNIT.map((folder) => `${folder}/*.test.ts`),
          exclude: [...configDefaults.exclude, '**/*.slow.test.ts'],
          // The machine's threads are the tests' alone here: most of a file's time is loading what it imports.
          maxWorkers: '100%',
          testTimeout: 30_000,
          // A first import of tfjs from a cold disk, beside another test file on two cores, has taken more than the default 10 s.
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'unit-slow',
          include: UNIT.map((folder) => `${folder}/*.slow.test.ts`),
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'workflow',
          include: ['test/workflows/*.test.ts', 'test/replay/*.test.ts'],
          globalSetup: ['test/support/temporal-server.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
