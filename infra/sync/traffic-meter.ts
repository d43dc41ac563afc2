import type { ParameterClient } from '../../lib/sync/protocol.ts';

export interface TrafficMeter {
  count: (sentBytes: number, receivedBytes: number) => void;
  /** Time until this is settled counts as waiting; of several at once, only once. */
  wait<T>(answer: Promise<T>): Promise<T>;
  read(): ReturnType<ParameterClient['traffic']>;
}

export function createTrafficMeter(): TrafficMeter {
  const bytes = { sentBytes: 0, receivedBytes: 0 };
  let waitMs = 0;
  let numWaiting = 0;
  let since = 0;
  return {
    count(sentBytes, receivedBytes) {
      bytes.sentBytes += sentBytes;
      bytes.receivedBytes += receivedBytes;
    },
    async wait(answer) {
      if (numWaiting++ === 0) since = performance.now();
      try {
        return await answer;
      } finally {
        if (--numWaiting === 0) waitMs += performance.now() - since;
      }
    },
    read() {
      const running = numWaiting > 0 ? performance.now() - since : 0;
      return { ...bytes, waitSeconds: (waitMs + running) / 1000 };
    },
  };
}
