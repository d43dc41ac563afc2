import type { ArtifactStore } from '../../contracts/artifacts.ts';
import type { StateReader } from '../../lib/train/part-state.ts';
import type { StateHeading } from '../../lib/train/pipeline-lead.ts';
import type { TrainState } from '../../lib/train/train-state.ts';
import { openStateFile } from './state-file.ts';
import type { StateArray, StateFile } from './state-file.ts';

/** Arrays of a state end to end, in the order of the summary's list. */
export const STATE_FILE = 'state.f32';

interface StateSummary {
  step: number;
  recallByEpoch: number[];
  best: { epoch: number; recall: number } | null;
  arrays: StateArray[];
}

/** A checkpoint whose bytes are verified; what is not asked for is not read. */
export interface OpenedCheckpoint extends StateReader, AsyncDisposable {
  artifact: string;
  /** All but what the parts of a model hold. */
  heading(): Promise<StateHeading>;
  /** All of it. */
  state(): Promise<TrainState>;
}

/** @throws LookalikeError `notFound` | `corruptArtifact` */
export async function openCheckpoint(
  artifacts: Pick<ArtifactStore, 'get' | 'materialise'>,
  id: string,
): Promise<OpenedCheckpoint> {
  const summary = (await artifacts.get(id)).manifest.summary as unknown as StateSummary;
  const file = await openStateFile(await artifacts.materialise(id, STATE_FILE), summary.arrays);
  const { step } = summary;
  const heading = async (): Promise<StateHeading> => {
    const { recallByEpoch, best } = summary;
    return { step, recallByEpoch, best: best && { ...best, values: await arraysOf(file, summary, 'best') } };
  };
  return {
    artifact: id,
    step,
    read: (group, name, start, into) => file.read(`${group}.${name}`, start, into),
    heading,
    state: async () => ({
      ...(await heading()),
      values: await arraysOf(file, summary, 'value'),
      firstMoments: await arraysOf(file, summary, 'first'),
      secondMoments: await arraysOf(file, summary, 'second'),
    }),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

async function arraysOf(
  file: StateFile,
  { arrays }: StateSummary,
  group: string,
): Promise<Record<string, Float32Array>> {
  const found: Record<string, Float32Array> = {};
  for (const { name, length } of arrays) {
    if (!name.startsWith(`${group}.`)) continue;
    const values = new Float32Array(length);
    await file.read(name, 0, values);
    found[name.slice(group.length + 1)] = values;
  }
  return found;
}
