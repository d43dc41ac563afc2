import { crc32 } from 'node:zlib';
import { LookalikeError } from '../../contracts/errors.ts';
import { decodeGradient } from '../../lib/sync/compression/index.ts';
import { bytesOf } from '../../lib/sync/float-bytes.ts';
import type { Frame, FrameHeader } from '../../lib/sync/frames.ts';
import { ParameterShard } from '../../lib/sync/parameter-shard.ts';
import type { ShardConfig, ShardStatistics } from '../../lib/sync/protocol.ts';
import { NO_BODY, packState, unpackState } from './frame-parts.ts';

/** What a shard answers: the fields of the header that mean something, and the body. */
export interface Answer {
  header: Partial<FrameHeader> & Pick<FrameHeader, 'type'>;
  body: Uint8Array;
}

/**
 * One shard and the incarnation that its state belongs to. Invariant: a request that moves the shard, or reads what another
 * incarnation would read differently, is of this very incarnation.
 */
export class ShardService {
  readonly #index: number;
  readonly #length: number;
  readonly #shard: ParameterShard;
  #incarnation = 0;
  /** Tells a repeated seed from another one of the same incarnation. */
  #seed = { step: 0, checksum: 0 };

  /** @throws LookalikeError `invalidInput` for a configuration that cannot work */
  constructor(index: number, config: ShardConfig) {
    this.#index = index;
    this.#length = config.range.end - config.range.start;
    this.#shard = new ParameterShard(config);
  }

  /** 0 without a state. */
  get incarnation(): number {
    return this.#incarnation;
  }

  statistics(): ShardStatistics {
    return this.#shard.statistics();
  }

  /** `signal` ends waiting. @throws LookalikeError */
  async answer(frame: Frame, signal: AbortSignal): Promise<Answer> {
    if (frame.shard !== this.#index) {
      throw new LookalikeError('conflict', `Expected shard ${frame.shard} here, this is ${this.#index}: look again.`);
    }
    switch (frame.type) {
      case 'status':
        return { header: { type: 'statistics' }, body: Buffer.from(JSON.stringify(this.#shard.statistics())) };
      case 'seed':
        return this.#takeSeed(frame);
      case 'push':
        this.#expectIncarnation(frame);
        return this.#push(frame);
      case 'pull': {
        this.#expectIncarnation(frame);
        const { version, values } = await this.#shard.pull({ step: frame.step, signal });
        return { header: { type: 'values', version, numValues: values.length }, body: bytesOf(values) };
      }
      case 'snapshot': {
        this.#expectIncarnation(frame);
        const state = await this.#shard.snapshot(frame.step, signal);
        const header = { type: 'state', step: state.step, numValues: state.values.length } as const;
        return { header, body: packState(state) };
      }
      default:
        throw new LookalikeError('invalidInput', `Expected a request, got a frame of type \`${frame.type}\`.`);
    }
  }

  /** Refuses whoever waits. */
  abort(error: LookalikeError): void {
    this.#shard.abort(error);
  }

  #push({ encoding, body, slice, step, version, weight, learningRate, numValues }: Frame): Answer {
    this.#expectLength(numValues);
    const gradient = decodeGradient(encoding, body, this.#length);
    const type = this.#shard.push({ slice, step, version, weight, learningRate, gradient });
    return { header: { type }, body: NO_BODY };
  }

  #takeSeed(frame: Frame): Answer {
    const { incarnation, step, numValues } = frame;
    this.#expectLength(numValues);
    const checksum = crc32(frame.body);
    const isSame = this.#seed.step === step && this.#seed.checksum === checksum;
    const isRepeated = incarnation !== 0 && incarnation === this.#incarnation && isSame;
    if (!isRepeated) {
      if (incarnation <= this.#incarnation) {
        const message = `Expected a seed of an incarnation after ${this.#incarnation}, got ${incarnation}: another lead has taken over.`;
        throw new LookalikeError('conflict', message);
      }
      this.#shard.seed(unpackState(frame));
      this.#incarnation = incarnation;
      this.#seed = { step, checksum };
    }
    return { header: { type: 'seeded' }, body: NO_BODY };
  }

  #expectLength(numValues: number): void {
    if (numValues === this.#length) return;
    const message = `Expected ${this.#length} values of shard ${this.#index}, got ${numValues}: both ends must train the same model.`;
    throw new LookalikeError('dimensionMismatch', message);
  }

  #expectIncarnation({ incarnation }: Frame): void {
    if (incarnation === this.#incarnation && incarnation !== 0) return;
    const reality = this.#incarnation === 0 ? 'it has no state' : `it is in ${this.#incarnation}`;
    throw new LookalikeError(
      'conflict',
      `Expected shard ${this.#index} in incarnation ${incarnation}, but ${reality}: ask for its status and go on from there.`,
    );
  }
}
