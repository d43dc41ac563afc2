import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import type { ErrorCode } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import { createFileCache } from './file-cache.ts';
import type { ObjectStore } from './object-store.ts';

type S3Location = Extract<Config['artifacts'], { kind: 's3' }>;

/** What one PUT may carry on S3; larger objects would need multipart uploads. */
const MAX_PUT_BYTES = 5 * 1024 ** 3;

/** Objects in a bucket of any S3-compatible service; what is read as a file is kept below `cacheDir` for a while. */
export function openS3ObjectStore(where: S3Location, cacheDir: string): ObjectStore {
  const client = createClient(where);
  const Bucket = where.bucket;
  const keyOf = (key: string): string => (where.prefix === '' ? key : `${where.prefix}/${key}`);
  const location = `s3://${Bucket}/${where.prefix}`.replace(/\/$/, '');
  const ask = <T>(work: () => Promise<T>): Promise<T> => translated(location, work);

  const head: ObjectStore['head'] = (key) =>
    orAbsent(async () => {
      const found = await client.send(new HeadObjectCommand({ Bucket, Key: keyOf(key) }));
      return { key, sizeBytes: found.ContentLength ?? 0, storedAt: found.LastModified ?? new Date(0) };
    });
  const cache = createFileCache(cacheDir, where.cacheBytes);

  return {
    location,
    head: (key) => ask(() => head(key)),
    putIfAbsent: (key, source, expected) =>
      ask(async () => {
        if (expected.sizeBytes > MAX_PUT_BYTES) {
          throw new LookalikeError(
            'invalidInput',
            `Expected files of at most 5 GiB in ${location}, got ${expected.sizeBytes} bytes. Use more shards.`,
          );
        }
        if ((await head(key))?.sizeBytes === expected.sizeBytes) return false;
        const put = new PutObjectCommand({
          Bucket,
          Key: keyOf(key),
          Body: 'bytes' in source ? source.bytes : createReadStream(source.path),
          ContentLength: expected.sizeBytes,
          // The service compares while it takes the bytes in, and refuses the whole object on a difference.
          ChecksumSHA256: Buffer.from(expected.sha256, 'hex').toString('base64'),
        });
        await client.send(put);
        return true;
      }),
    refresh: (key) =>
      ask(async () => {
        await orAbsent(async () => {
          const before = await head(key);
          if (before === undefined) return;
          // A copy onto itself renews the time on S3; it must change something, here the metadata.
          const { CopyObjectResult } = await client.send(
            new CopyObjectCommand({
              Bucket,
              Key: keyOf(key),
              CopySource: encodeURI(`${Bucket}/${keyOf(key)}`),
              MetadataDirective: 'REPLACE',
              Metadata: { refreshed: new Date().toISOString() },
            }),
          );
          if ((CopyObjectResult?.LastModified ?? before.storedAt) > before.storedAt) return;
          // Some services then renew the metadata only: write the same bytes again.
          const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: keyOf(key) }));
          const put = { Bucket, Key: keyOf(key), Body: Body as Readable, ContentLength: before.sizeBytes };
          await client.send(new PutObjectCommand(put));
        });
      }),
    get: (key) =>
      ask(() =>
        orAbsent(async () => {
          const found = await client.send(new GetObjectCommand({ Bucket, Key: keyOf(key) }));
          return Buffer.from((await found.Body?.transformToByteArray()) ?? []);
        }),
      ),
    async *list(prefix) {
      let ContinuationToken: string | undefined;
      do {
        const command = new ListObjectsV2Command({ Bucket, Prefix: keyOf(prefix), ContinuationToken });
        const page = await ask(() => client.send(command));
        for (const { Key, Size, LastModified } of page.Contents ?? []) {
          if (Key === undefined) continue;
          const key = where.prefix === '' ? Key : Key.slice(where.prefix.length + 1);
          yield { key, sizeBytes: Size ?? 0, storedAt: LastModified ?? new Date(0) };
        }
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken !== undefined);
    },
    delete: (key) =>
      ask(async () => {
        await client.send(new DeleteObjectCommand({ Bucket, Key: keyOf(key) }));
        await cache.drop(key);
      }),
    localFile: (key) =>
      ask(async () => {
        const held = await cache.use(key);
        if (held !== undefined) return held;
        const found = await orAbsent(() => client.send(new GetObjectCommand({ Bucket, Key: keyOf(key) })));
        return found && cache.fill(key, found.Body as Readable);
      }),
    // A file fetched just now is as the service holds it: fetching it again would give the same.
    dropLocalFile: async (key) => !(await cache.drop(key)),
    sweep: () => Promise.resolve(0),
    close: () => client.destroy(),
  };
}

function createClient(where: S3Location): S3Client {
  const { accessKeyId, secretAccessKey, sessionToken } = where;
  return new S3Client({
    region: where.region,
    // Services other than AWS are addressed by path: bucket names are no host names there.
    ...(where.endpoint !== null && { endpoint: where.endpoint, forcePathStyle: true }),
    // Without keys the SDK looks for roles and profiles itself.
    ...(accessKeyId !== null &&
      secretAccessKey !== null && {
        credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== null && { sessionToken }) },
      }),
    // Many compatible services lack the newer default checksums; every object has its SHA-256 anyway.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
}

async function orAbsent<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof S3ServiceException && (error.name === 'NotFound' || error.name === 'NoSuchKey'))
      return undefined;
    throw error;
  }
}

/** The SDK has retried already: what is left is either the operator's to fix or a service that is away for longer. */
async function translated<T>(location: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LookalikeError) throw error;
    throw new LookalikeError(
      codeOf(error),
      `Expected ${location} to answer, got "${errorMessage(error)}". Check LOOKALIKE_ARTIFACTS, LOOKALIKE_S3_ENDPOINT and the AWS keys.`,
      {},
      { cause: error },
    );
  }
}

const THROTTLED = /^(SlowDown|TooManyRequests|RequestLimitExceeded|Throttl)/;
/** Answered as the caller's fault, and gone after a while: a slow upload, a clock being set, keys being renewed. */
const PASSING = /^(RequestTimeout|RequestTimeTooSkewed|RequestExpired|ExpiredToken)/;

function codeOf(error: unknown): ErrorCode {
  if (!(error instanceof S3ServiceException)) return 'unavailable';
  const status = error.$metadata.httpStatusCode;
  if (status === 429 || THROTTLED.test(error.name)) return 'overloaded';
  // The answer to a HEAD has no body that would name the fault; of requests like ours only expired keys get this status.
  const isNameless = status === 400 && /^(400|BadRequest|Unknown|UnknownError)$/.test(error.name);
  const passes = error.$fault !== 'client' || status === 408 || isNameless || PASSING.test(error.name);
  return passes ? 'unavailable' : 'invalidInput';
}
