import type { ArtifactStore, Derivation, FileSource } from '../../contracts/artifacts.ts';
import { isLookalikeError } from '../../contracts/errors.ts';
import type { CheckpointStore } from '../../contracts/registry.ts';
import { STATE_GROUPS } from '../../lib/train/part-state.ts';
import type { StateHeading, StateWriter } from '../../lib/train/pipeline-lead.ts';
import type { TrainState } from '../../lib/train/train-state.ts';
import { CODE_VERSION } from '../artifacts/code-version.ts';
import { derivationKey } from '../artifacts/keys.ts';
import { STATE_FILE, openCheckpoint } from './open-checkpoint.ts';
import type { OpenedCheckpoint } from './open-checkpoint.ts';
import { createStateFile } from './state-file.ts';
import type { StateArray } from './state-file.ts';

export interface CheckpointDeps {
  artifacts: Pick<ArtifactStore, 'get' | 'materialise' | 'publish'>;
  checkpoints: CheckpointStore;
}

/** Resume points of one run; the run is its derivation, so the same work finds them whoever does it. */
export function checkpointsOf({ artifacts, checkpoints }: CheckpointDeps, derivation: Derivation) {
  const run = derivationKey(derivation, CODE_VERSION);

  async function publish(
    { step, recallByEpoch, best }: StateHeading,
    arrays: readonly StateArray[],
    source: FileSource,
  ): Promise<string> {
    const artifact = await artifacts.publish({
      kind: 'checkpoint',
      inputs: derivation.inputs,
      config: { ...derivation.config, step },
      seed: derivation.seed,
      summary: {
        step,
        recallByEpoch,
        best: best && { epoch: best.epoch, recall: best.recall },
        arrays: arrays.map(({ name, length }) => ({ name, length })),
      },
      metrics: {},
      files: { [STATE_FILE]: source },
    });
    await checkpoints.record(run, step, artifact.id);
    return artifact.id;
  }

  async function newest<T>(
    onDamaged: (reason: string) => void,
    read: (artifact: string) => Promise<T>,
  ): Promise<T | undefined> {
    for (const { artifact } of await checkpoints.latest(run)) {
      try {
        return await read(artifact);
      } catch (error) {
        if (!isLookalikeError(error) || !['corruptArtifact', 'notFound'].includes(error.code)) throw error;
        onDamaged(error.message);
      }
    }
    return undefined;
  }

  return {
    /** Durable when it returns; the last two are kept. */
    save(state: TrainState): Promise<string> {
      const { values, firstMoments, secondMoments, best } = state;
      const groups = { value: values, first: firstMoments, second: secondMoments, best: best?.values ?? {} };
      const arrays = Object.entries(groups).flatMap(([group, all]) =>
        Object.entries(all).map(([name, own]) => ({ name: `${group}.${name}`, own, length: own.length })),
      );
      const bytes = Buffer.concat(arrays.map(({ own }) => Buffer.from(own.buffer, own.byteOffset, own.byteLength)));
      return publish(state, arrays, { bytes });
    },

    /** As `save`, of a state that is in no memory as a whole: `fill` writes it into a file, piece by piece. */
    async saveParts(
      heading: StateHeading,
      parameters: readonly StateArray[],
      fill: (write: StateWriter) => Promise<void>,
    ): Promise<string> {
      const best = Object.entries(heading.best?.values ?? {}).map(([name, own]) => ({
        ...{ name: `best.${name}`, own, length: own.length },
      }));
      const groups = STATE_GROUPS.flatMap((group) =>
        parameters.map(({ name, length }) => ({ name: `${group}.${name}`, length })),
      );
      const arrays = [...groups, ...best];
      await using file = await createStateFile(arrays);
      await fill((group, name, start, values) => file.write(`${group}.${name}`, start, values));
      for (const { name, own } of best) await file.write(name, 0, own);
      return await publish(heading, arrays, { path: file.path });
    },

    /** The newest checkpoint that can be read; a damaged or collected one gives way to the one before. */
    async latest(onDamaged: (reason: string) => void): Promise<{ state: TrainState; artifact: string } | undefined> {
      return newest(onDamaged, async (artifact) => ({ state: await readState(artifacts, artifact), artifact }));
    },

    /** As `latest`, its arrays still in their file, which the caller closes. */
    async open(onDamaged: (reason: string) => void): Promise<OpenedCheckpoint | undefined> {
      return newest(onDamaged, (artifact) => openCheckpoint(artifacts, artifact));
    },

    /** Once the model is published. */
    forget: (): Promise<void> => checkpoints.forget(run),
  };
}

/** A whole checkpoint. @throws LookalikeError `notFound` | `corruptArtifact` */
export async function readState(
  artifacts: Pick<ArtifactStore, 'get' | 'materialise'>,
  id: string,
): Promise<TrainState> {
  await using opened = await openCheckpoint(artifacts, id);
  return await opened.state();
}
