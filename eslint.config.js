import js from '@eslint/js';
import tseslint from 'typescript-eslint';
import { importX } from 'eslint-plugin-import-x';

/** The dependency arrows of docs/design.md: each folder may import only what stands beside it. */
const MAY_IMPORT = {
  contracts: [],
  lib: ['contracts'],
  infra: ['contracts', 'lib'],
  activities: ['contracts', 'lib', 'infra'],
  workflows: ['contracts'],
  workers: ['contracts', 'infra', 'activities'],
  api: ['contracts', 'infra'],
  cli: ['contracts', 'infra'],
  bench: ['contracts', 'lib', 'infra'],
  tools: ['contracts', 'lib', 'infra'],
};
const FOLDERS = Object.keys(MAY_IMPORT);

/** Single folders of what is otherwise closed: pure functions that a workflow may decide by, and that are measured without one. */
const OPEN = {
  workflows: { lib: ['./tune', './train/random.ts'] },
  bench: { workflows: ['./policy'] },
};

const zones = FOLDERS.flatMap((folder) =>
  [...FOLDERS, 'test']
    .filter((from) => from !== folder && !MAY_IMPORT[folder].includes(from))
    // Workflows may import *types* of activities; a value import is caught below, by name.
    .filter((from) => !(folder === 'workflows' && from === 'activities'))
    .map((from) => ({
      target: `./${folder}`,
      from: `./${from}`,
      except: OPEN[folder]?.[from] ?? [],
      message: `${folder}/ must not import ${from}/.`,
    })),
);

/** Packages that only some folders may touch. */
const fence = (files, ignores, patterns, message) => ({
  files,
  ignores,
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      { patterns: [{ group: patterns, message, allowTypeImports: true }] },
    ],
  },
});

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'node_modules/',
      '.lookalike/',
      'coverage/',
      '**/*.d.ts',
      'lib/*/kernels/assembly/',
      'lib/*/kernels/wasm-module.ts',
    ],
  },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', 'bin/*.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    plugins: { 'import-x': importX },
    settings: {
      'import-x/resolver-next': [
        (await import('eslint-plugin-import-x')).createNodeResolver({ extensions: ['.ts', '.js'] }),
      ],
    },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones }],
      'import-x/no-cycle': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      eqeqeq: 'error',
      'max-lines': ['error', { max: 400 }],
    },
  },
  fence(
    ['lib/**', 'contracts/**'],
    [],
    ['@temporalio/*', '@nestjs/*', 'node:fs', 'node:fs/*', 'node:child_process', 'kysely'],
    'lib/ and contracts/ are pure: pass it in.',
  ),
  fence(
    ['workflows/**'],
    [],
    [
      'node:*',
      '@temporalio/client',
      '@temporalio/worker',
      '@temporalio/activity',
      '**/activities/**',
      '!@temporalio/workflow',
    ],
    'Workflows are deterministic: only @temporalio/workflow, contracts and own policy; activities as types.',
  ),
  fence(
    ['infra/**', 'api/**', 'cli/**', 'bench/**', 'tools/**'],
    [],
    ['@temporalio/activity', '@temporalio/workflow'],
    'Only activities/ and workflows/ speak as Temporal code.',
  ),
  {
    files: ['infra/**', 'lib/**', 'activities/**', 'workers/**', 'api/**', 'cli/**', 'workflows/**', 'contracts/**'],
    ignores: ['infra/config/env.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only infra/config/env.ts reads the environment.' },
      ],
    },
  },
  {
    files: ['test/**', 'bench/**'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off', '@typescript-eslint/require-await': 'off' },
  },
  { files: ['api/**'], rules: { '@typescript-eslint/consistent-type-imports': 'off' } },
  { files: ['**/*.js'], ...tseslint.configs.disableTypeChecked },
);
