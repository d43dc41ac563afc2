import type { Artifact, ArtifactStore } from '../../contracts/artifacts.ts';
import { isLookalikeError } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { BestTrial, Trial, TuneOutput, TuningRecord } from '../../contracts/tuning.ts';
import { drawSvg, pngOf } from '../bench/draw.ts';
import { tuningPlots } from './plots.ts';
import type { TrialCurve } from './plots.ts';

/** The whole record with the curve of every trial. */
export const TUNING_FILE = 'tuning.json';

/** What is known of a search without opening its files. */
export interface TuningSummary {
  catalogue: string;
  outcome: TuneOutput['outcome'];
  best: BestTrial;
  numTrials: Record<Trial['status'], number>;
}

/** A search as an artefact: every trial, its curve and its model, the recommended configuration, and drawings of them. */
export async function publishTuning(
  { artifacts }: { artifacts: Pick<ArtifactStore, 'get' | 'publish'> },
  record: TuningRecord,
): Promise<Artifact> {
  const { catalogue, config, snapshot, prepared, outcome, trials, best } = record;
  const curves = await Promise.all(trials.map((trial) => curveOf(artifacts, trial)));
  const text = Buffer.from(`${JSON.stringify({ ...record, curves }, null, 1)}\n`);
  const files: Record<string, { bytes: Uint8Array }> = { [TUNING_FILE]: { bytes: text } };
  for (const { name, title, spec } of tuningPlots(record, curves)) {
    const svg = await drawSvg(spec, title);
    files[`${name}.svg`] = { bytes: Buffer.from(svg) };
    files[`${name}.png`] = { bytes: await pngOf(svg) };
  }
  const models = trials.flatMap(({ id, model }) => (model === undefined ? [] : [[`trial${id}`, model] as const]));
  const made = prepared.map(({ features }, i) => [`features${i}`, features] as const);
  const summary: TuningSummary = { catalogue, outcome, best, numTrials: countsOf(trials) };
  return artifacts.publish({
    kind: 'tuning',
    inputs: {
      ...{ snapshot, ...Object.fromEntries(made), ...Object.fromEntries(models) },
      ...(best.model !== null && { best: best.model }),
    },
    // Which trials there were depends on which came first, so the configuration alone does not decide the result.
    config: plain({
      ...config,
      trials: trials.map(({ params, untilEpoch, status }) => ({ params, untilEpoch, status })),
    }),
    seed: config.seed,
    summary: plain(summary),
    metrics: { bestValue: best.value },
    files,
  });
}

/** Recall@1 after each epoch, as its model or its last checkpoint tells; the best so far at its pauses where both are gone. */
async function curveOf(artifacts: Pick<ArtifactStore, 'get'>, trial: Trial): Promise<TrialCurve> {
  const told = trial.reports.map(({ epoch, value }) => ({ epoch, recall: value }));
  const source = trial.model ?? trial.checkpoint;
  if (source === undefined) return { trial: trial.id, points: told };
  try {
    const { metrics, summary } = (await artifacts.get(source)).manifest;
    const recalls = (metrics['recallByEpoch'] ?? summary['recallByEpoch']) as number[];
    return { trial: trial.id, points: recalls.map((recall, i) => ({ epoch: i + 1, recall })) };
  } catch (error) {
    if (!isLookalikeError(error) || error.code !== 'notFound') throw error;
    return { trial: trial.id, points: told };
  }
}

function countsOf(trials: readonly Trial[]): TuningSummary['numTrials'] {
  const counts = { waiting: 0, running: 0, paused: 0, stopped: 0, done: 0, failed: 0 };
  for (const { status } of trials) counts[status] += 1;
  return counts;
}

/** Without what is undefined, which JSON does not know. */
function plain(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}
