/** A thread that answers with its request's first byte, and dies of a 13 (always) or of a 42 (the first time in a process). */
import { parentPort, threadId, workerData } from 'node:worker_threads';
import type { AnswerMessage, ReadyMessage, RequestMessage } from '../../../infra/inference/protocol.ts';

const { survivors, gate } = workerData as { survivors: Int32Array; gate: Int32Array };

parentPort!.on('message', ({ id, request }: RequestMessage) => {
  const byte = request.kind === 'embed' ? request.image[0]! : 0;
  if (byte === 13 || (byte === 42 && Atomics.add(survivors, 0, 1) === 0)) process.exit(1);
  // 99 occupies the thread until the test opens the gate.
  if (byte === 99) Atomics.wait(gate, 0, 0);
  const vectors = [Float32Array.of(byte, threadId)];
  const message: AnswerMessage = {
    id,
    answer: { kind: 'embedded', answer: { vectors, decodeMs: 0, preprocessMs: 0, inferMs: 0 } },
  };
  parentPort!.postMessage(message);
});
parentPort!.postMessage({ ready: true } satisfies ReadyMessage);
