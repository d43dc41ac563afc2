import { Client, Connection } from '@temporalio/client';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import { dataConverter } from './data-converter.ts';

type TemporalConfig = Pick<Config, 'temporal'>;

export interface ConnectionSettings {
  /** Address, TLS, API key and metadata, for client and worker connections alike. */
  options: Pick<NativeConnectionOptions, 'address' | 'tls' | 'apiKey' | 'metadata'>;
  namespace: string;
}

/** Whether this installation runs its own Temporal server: nobody named another one. */
export function ownsServer({ temporal }: TemporalConfig): boolean {
  return temporal.address === null && temporal.profile === null;
}

/**
 * Where Temporal is and how to prove who we are: TEMPORAL_ADDRESS, TEMPORAL_API_KEY, TEMPORAL_TLS* and, when TEMPORAL_PROFILE
 * names one, a profile of temporal.toml; otherwise the installation's own server on the loopback address.
 */
export async function connectionSettings({ temporal }: TemporalConfig): Promise<ConnectionSettings> {
  if (temporal.address === null && temporal.profile === null) {
    return { options: { address: `127.0.0.1:${temporal.port}` }, namespace: temporal.namespace };
  }
  // Loaded only here: it brings the native library, which a process with its own server's address does not need.
  const { loadClientConnectConfig } = await import('@temporalio/envconfig');
  const { connectionOptions, namespace } = loadClientConnectConfig(
    temporal.profile === null ? { disableFile: true } : { profile: temporal.profile },
  );
  const { address, tls, apiKey, metadata } = connectionOptions;
  return {
    options: {
      address: temporal.address ?? address,
      tls,
      apiKey,
      metadata,
    },
    namespace: temporal.profile === null ? temporal.namespace : (namespace ?? temporal.namespace),
  };
}

/**
 * A client whose connection was tried. @throws LookalikeError `unavailable` when Temporal does not answer within ten seconds
 */
export async function connectClient(config: TemporalConfig): Promise<Client> {
  const { options, namespace } = await connectionSettings(config);
  const connection = await Connection.connect({ ...options, ...CHANNEL, connectTimeout: '10 seconds' }).catch(
    (error: unknown) => {
      throw unreachable(options.address, error);
    },
  );
  return new Client({ connection, namespace, dataConverter });
}

/**
 * A client that connects at its first call: for the API, which answers searches while Temporal is down. Calls are tried once: the
 * SDK's retries would hold a request for seconds, and one whose pause outlasts `close()` throws where nobody can catch it.
 */
export async function lazyClient(config: TemporalConfig): Promise<Client> {
  const { options, namespace } = await connectionSettings(config);
  const connection = Connection.lazy({ ...options, ...CHANNEL, connectTimeout: '10 seconds', interceptors: [] });
  return new Client({ connection, namespace, dataConverter });
}

export function unreachable(address: string | undefined, error: unknown): LookalikeError {
  return new LookalikeError(
    'unavailable',
    `Expected a Temporal server at ${address ?? 'the configured address'}, but it does not answer ` +
      `(${errorMessage(error)}). Start the stack with \`lookalike up\`, or set TEMPORAL_ADDRESS.`,
    {},
    { cause: error },
  );
}

/** Without the `grpc.` prefix, which the SDK's own default lacks, histories above 4 MB cannot be fetched. */
const CHANNEL = { channelArgs: { 'grpc.max_receive_message_length': -1 } };
