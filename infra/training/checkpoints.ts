import { readFile } from 'node:fs/promises';
import type { ArtifactStore, Derivation } from '../../contracts/artifacts.ts';
import { isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import type { CheckpointStore } from '../../contracts/registry.ts';
import type { TrainState } from '../../lib/train/train-state.ts';
import { CODE_VERSION } from '../artifacts/code-version.ts';
import { derivationKey } from '../artifacts/keys.ts';

/** Arrays of a state in one file, in the order of the summary's list. */
const STATE_FILE = 'state.f32';

export interface CheckpointDeps {
  artifacts: Pick<ArtifactStore, 'get' | 'materialise' | 'publish'>;
  checkpoints: CheckpointStore;
}

/** Resume points of one run; the run is its derivation, so the same work finds them whoever does it. */
export function checkpointsOf({ artifacts, checkpoints }: CheckpointDeps, derivation: Derivation) {
  const run = derivationKey(derivation, CODE_VERSION);
  return {
    /** Durable when it returns; the last two are kept. */
    async save(state: TrainState): Promise<string> {
      const { step, recallByEpoch, best } = state;
      const arrays = Object.entries({
        ...prefixed('value', state.values),
        ...prefixed('first', state.firstMoments),
        ...prefixed('second', state.secondMoments),
        ...(best && { 'best.kernel': best.kernel, 'best.bias': best.bias }),
      });
      const artifact = await artifacts.publish({
        kind: 'checkpoint',
        inputs: derivation.inputs,
        config: { ...derivation.config, step },
        seed: derivation.seed,
        summary: {
          step,
          recallByEpoch,
          best: best && { epoch: best.epoch, recall: best.recall },
          arrays: arrays.map(([name, { length }]) => ({ name, length })),
        },
        metrics: {},
        files: { [STATE_FILE]: { bytes: Buffer.concat(arrays.map(([, values]) => bytesOf(values))) } },
      });
      await checkpoints.record(run, step, artifact.id);
      return artifact.id;
    },

    /** The newest checkpoint that can be read; a damaged or collected one gives way to the one before. */
    async latest(onDamaged: (reason: string) => void): Promise<{ state: TrainState; artifact: string } | undefined> {
      for (const { artifact } of await checkpoints.latest(run)) {
        try {
          return { state: await readState(artifacts, artifact), artifact };
        } catch (error) {
          if (!isLookalikeError(error) || !['corruptArtifact', 'notFound'].includes(error.code)) throw error;
          onDamaged(error.message);
        }
      }
      return undefined;
    },

    /** Once the model is published. */
    forget: (): Promise<void> => checkpoints.forget(run),
  };
}

interface StateSummary {
  step: number;
  recallByEpoch: number[];
  best: { epoch: number; recall: number } | null;
  arrays: { name: string; length: number }[];
}

async function readState(artifacts: CheckpointDeps['artifacts'], id: string): Promise<TrainState> {
  const summary = (await artifacts.get(id)).manifest.summary as unknown as StateSummary;
  const bytes = await readFile(await artifacts.materialise(id, STATE_FILE));
  const all = new Float32Array(new Uint8Array(bytes).buffer);
  const arrays = new Map<string, Float32Array>();
  let at = 0;
  for (const { name, length } of summary.arrays) arrays.set(name, all.slice(at, (at += length)));
  const group = (prefix: string): Record<string, Float32Array> =>
    Object.fromEntries(
      [...arrays]
        .filter(([name]) => name.startsWith(`${prefix}.`))
        .map(([name, v]) => [name.slice(prefix.length + 1), v]),
    );
  const { kernel, bias } = group('best');
  if (at !== all.length || (summary.best !== null && (!kernel || !bias))) {
    throw new LookalikeError('corruptArtifact', `Expected ${id} to hold ${at} values, got ${all.length}.`);
  }
  return {
    step: summary.step,
    recallByEpoch: summary.recallByEpoch,
    best: summary.best && kernel && bias ? { ...summary.best, kernel, bias } : null,
    values: group('value'),
    firstMoments: group('first'),
    secondMoments: group('second'),
  };
}

function prefixed(prefix: string, arrays: Record<string, Float32Array>): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(arrays).map(([name, values]) => [`${prefix}.${name}`, values]));
}

function bytesOf(values: Float32Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}
