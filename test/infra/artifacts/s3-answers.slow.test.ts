import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ObjectStore } from '../../../infra/artifacts/object-store.ts';
import { openS3ObjectStore } from '../../../infra/artifacts/s3-object-store.ts';
import { loadConfig } from '../../../infra/config/env.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** A store over a service that always answers the same; `seen` are the requests it got. */
async function storeOver(
  status: number,
  code: string,
  env: Record<string, string> = {},
): Promise<{ store: ObjectStore; seen: IncomingMessage[] }> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>said so</Message></Error>`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { artifacts } = loadConfig({
    LOOKALIKE_DATA_DIR: temporaryFolder(),
    LOOKALIKE_ARTIFACTS: 's3://bucket/prefix',
    LOOKALIKE_S3_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
    ...env,
  });
  if (artifacts.kind !== 's3') throw new Error('Expected a bucket.');
  const store = openS3ObjectStore(artifacts, temporaryFolder());
  onTestFinished(() => {
    store.close();
    server.close();
  });
  return { store, seen };
}

describe('what an S3 service answers', () => {
  test.each([
    [429, 'TooManyRequests', 'overloaded'],
    [503, 'SlowDown', 'overloaded'],
    [400, 'RequestTimeout', 'unavailable'],
    [408, 'Whatever', 'unavailable'],
    [403, 'RequestTimeTooSkewed', 'unavailable'],
    [400, 'ExpiredToken', 'unavailable'],
    [500, 'InternalError', 'unavailable'],
    [403, 'AccessDenied', 'invalidInput'],
    [400, 'InvalidBucketName', 'invalidInput'],
  ])('%i %s is taken as %s', async (status, code, expected) => {
    const { store } = await storeOver(status, code);
    await expect(store.get('manifests/x')).rejects.toMatchObject({
      code: expected,
      retryable: expected !== 'invalidInput',
    });
  });

  test('without a body is taken as keys that expired, or as keys that may not', async () => {
    const expired = await storeOver(400, 'ExpiredToken');
    await expect(expired.store.head('manifests/x')).rejects.toMatchObject({ code: 'unavailable' });
    const wrong = await storeOver(403, 'AccessDenied');
    await expect(wrong.store.head('manifests/x')).rejects.toMatchObject({ code: 'invalidInput' });
  });

  test('is asked for with the session token of temporary keys, and with none for lasting ones', async () => {
    for (const token of ['temporary', undefined]) {
      const { store, seen } = await storeOver(
        404,
        'NoSuchKey',
        token === undefined ? {} : { AWS_SESSION_TOKEN: token },
      );
      expect(await store.get('manifests/x')).toBeUndefined();
      expect(seen[0]!.headers['x-amz-security-token']).toBe(token);
    }
  });
});
