import { existsSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import pg from 'pg';
import { openS3ObjectStore } from '../artifacts/s3-object-store.ts';
import type { Config } from '../config/env.ts';
import { findTemporal } from '../provision/temporal.ts';
import { connectClient, ownsServer } from '../temporal/connection.ts';
import { missing, ok } from './check.ts';
import type { Question } from './check.ts';
import { nearestExisting } from './machine-questions.ts';

type ServiceConfig = Pick<Config, 'temporal' | 'cacheDir' | 'dataDir' | 'databaseUrl' | 'artifacts'>;

/** Temporal, the registry's database and the artefact store. Asking changes nothing: no schema, no folder, no object. */
export function serviceQuestions(config: ServiceConfig): Question[] {
  return [temporalQuestion(config), registryQuestion(config), artifactsQuestion(config)];
}

function temporalQuestion(config: ServiceConfig): Question {
  const base = { name: 'Temporal', why: 'runs the workflows' };
  if (!ownsServer(config)) {
    const fix = 'start that server, or unset TEMPORAL_ADDRESS and TEMPORAL_PROFILE: `lookalike up` then starts one';
    return {
      ...base,
      fix,
      async ask() {
        const { connection, options } = await connectClient(config);
        const { serverVersion } = await connection.workflowService.getSystemInfo({});
        await connection.close();
        return ok(`server ${serverVersion} answers, namespace ${options.namespace}`, 'named by the environment');
      },
    };
  }
  const fix = 'lookalike up';
  return {
    ...base,
    fix,
    async ask() {
      const binary = await findTemporal(config);
      if (binary === undefined) return missing('no `temporal` on PATH or in the cache', fix);
      return ok(`${binary.path} (${binary.source})`, '`lookalike up` starts it');
    },
  };
}

function registryQuestion({ databaseUrl, dataDir }: ServiceConfig): Question {
  const base = { name: 'registry', why: 'items, generations and routing' };
  if (databaseUrl === null) {
    const path = join(dataDir, 'registry.sqlite');
    return {
      ...base,
      fix: `restore ${path}, or move it away to begin anew`,
      async ask() {
        if (!existsSync(path)) {
          await access(nearestExisting(dataDir), constants.W_OK);
          return ok(`SQLite, ${path} is made at the first start`);
        }
        const database = new Database(path, { readonly: true, timeout: 5_000 });
        try {
          const result = database.pragma('quick_check(1)', { simple: true });
          if (result !== 'ok') return missing(`SQLite at ${path} is damaged: ${String(result)}`, this.fix);
          return ok(`SQLite at ${path}`);
        } finally {
          database.close();
        }
      },
    };
  }
  return {
    ...base,
    fix: 'start that server, or correct DATABASE_URL',
    async ask() {
      const client = new pg.Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
      try {
        await client.connect();
        const { rows } = await client.query<{ version: string }>('select version()');
        return ok(rows[0]?.version.split(' on ', 1)[0] ?? 'PostgreSQL answers');
      } finally {
        await client.end();
      }
    },
  };
}

function artifactsQuestion({ artifacts, dataDir }: ServiceConfig): Question {
  const base = { name: 'artefact store', why: 'models, vectors, shards and pictures' };
  if (artifacts.kind === 'folder') {
    return {
      ...base,
      fix: 'set LOOKALIKE_ARTIFACTS to a folder that can be written',
      async ask() {
        await access(nearestExisting(artifacts.path), constants.W_OK);
        return ok(`folder ${artifacts.path}`);
      },
    };
  }
  return {
    ...base,
    fix: 'check LOOKALIKE_ARTIFACTS, LOOKALIKE_S3_ENDPOINT and the AWS credentials',
    async ask() {
      const store = openS3ObjectStore(artifacts, join(dataDir, 'object-cache'));
      try {
        // One page is enough: it proves address, credentials and the right to list.
        await store.list('manifests/')[Symbol.asyncIterator]().next();
        return ok(`${store.location} answers`);
      } finally {
        store.close();
      }
    },
  };
}
