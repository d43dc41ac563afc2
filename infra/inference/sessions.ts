import { InferenceSession, Tensor } from 'onnxruntime-node';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { ExecutionProvider } from '../compute/execution-provider.ts';

/** Graphs open at once in a thread: the serving model's, the candidate's and what both are judged against. */
const MAX_OPEN = 6;

/** Opens each graph once per thread and closes the least recently used beyond {@link MAX_OPEN}. Paths are content-addressed. */
export class Sessions {
  private readonly open = new Map<string, Promise<InferenceSession>>();
  private readonly provider: ExecutionProvider;

  constructor(provider: ExecutionProvider) {
    this.provider = provider;
  }

  /** Runs a graph of one input and one output on one batch row. Always one row: the result depends on nothing else. */
  async run(path: string, input: Float32Array, sides: number[]): Promise<Float32Array> {
    const session = await this.session(path);
    const feeds = { [session.inputNames[0]!]: new Tensor('float32', input, [1, ...sides]) };
    const results = await session.run(feeds);
    return results[session.outputNames[0]!]!.data as Float32Array;
  }

  private async session(path: string): Promise<InferenceSession> {
    const opening = this.open.get(path) ?? openSession(path, this.provider);
    // Re-inserting makes it the newest of the map's order.
    this.open.delete(path);
    this.open.set(path, opening);
    try {
      const session = await opening;
      await this.closeOldest();
      return session;
    } catch (error) {
      this.open.delete(path);
      throw error;
    }
  }

  private async closeOldest(): Promise<void> {
    while (this.open.size > MAX_OPEN) {
      const [path, oldest] = this.open.entries().next().value!;
      this.open.delete(path);
      await (await oldest).release();
    }
  }
}

async function openSession(path: string, provider: ExecutionProvider): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(path, {
      executionProviders: provider === 'cuda' ? ['cuda', 'cpu'] : ['cpu'],
      // One core per thread: cores are filled with pictures, not with slices of one picture.
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      // Warnings of the runtime (e.g. about unused initialisers in users' models) are of no use to an operator.
      logSeverityLevel: 3,
    });
  } catch (error) {
    const message = `Expected ONNX Runtime (${provider}) to open ${path}, but it refused: ${errorMessage(error)}.`;
    throw new LookalikeError('corruptArtifact', message, {}, { cause: error });
  }
}
