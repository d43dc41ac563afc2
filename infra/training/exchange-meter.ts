import type { ReplicaProgress } from '../../contracts/data-parallel.ts';
import type { ParameterClient, ShardStatistics } from '../../lib/sync/protocol.ts';

/** What a replica's exchange with its shards costs, over all the clients that it has had. */
export class ExchangeMeter {
  readonly #startedAt = performance.now();
  readonly #past = { bytes: 0, waitSeconds: 0 };
  #client: ParameterClient | null = null;
  #statistics: Pick<ShardStatistics, 'staleness' | 'numDropped'> = { staleness: [], numDropped: 0 };
  #numSteps = 0;

  connected(client: ParameterClient): void {
    Object.assign(this.#past, this.#total());
    this.#client = client;
  }

  stepped(): void {
    this.#numSteps++;
  }

  heard(statistics: ShardStatistics): void {
    this.#statistics = statistics;
  }

  read(): Pick<ReplicaProgress, 'staleness' | 'numDropped' | 'bytesPerStep' | 'waitShare'> {
    const { bytes, waitSeconds } = this.#total();
    const { staleness, numDropped } = this.#statistics;
    const seconds = (performance.now() - this.#startedAt) / 1000;
    return {
      staleness,
      numDropped,
      bytesPerStep: Math.round(bytes / Math.max(1, this.#numSteps)),
      waitShare: Math.min(1, waitSeconds / seconds),
    };
  }

  #total(): { bytes: number; waitSeconds: number } {
    const { sentBytes, receivedBytes, waitSeconds } = this.#client?.traffic() ?? {
      ...{ sentBytes: 0, receivedBytes: 0, waitSeconds: 0 },
    };
    return { bytes: this.#past.bytes + sentBytes + receivedBytes, waitSeconds: this.#past.waitSeconds + waitSeconds };
  }
}
