import { defineConfig } from 'vitest/config';

/** Tiers: `unit` runs in seconds without a server; `workflow` needs a real Temporal server; `e2e` runs the built product. */
export default defineConfig({
  oxc: { decorator: { legacy: true, emitDecoratorMetadata: true } },
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            'test/{contracts,lib,infra,activities,api,cli,workers,tools}/**/*.test.ts',
            'test/workflows/policy/**/*.test.ts',
          ],
          testTimeout: 30_000,
          // A first import of tfjs from a cold disk, beside another test file on two cores, has taken more than the default 10 s.
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
