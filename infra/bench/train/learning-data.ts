import { readFile, writeFile } from 'node:fs/promises';
import { deserialize, serialize } from 'node:v8';
import { FIRST_STAGE } from '../../../contracts/data-parallel.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import type { TrainingData } from '../../../lib/train/head-program.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';
import type { Stores } from '../../stores.ts';
import { RECIPES } from '../../recipes/recipes.ts';
import { loadCachedFeatures } from '../../training/cached-features.ts';
import { prepareStage } from '../../training/prepare-stage.ts';
import { readableOf, trainingDataOf } from '../../training/training-data.ts';

/** Directions in which drawn labels differ; all others are noise. */
const SIGNAL_DIM = 32;
const SIGNAL = 1.2;
/** Drawn pictures of a label: to learn from, to ask with and to be found. */
const PICTURES = { train: 8, queries: 1, catalogue: 1 };

/**
 * What the model that serves a catalogue was trained on, from the cached features.
 * @throws LookalikeError `notFound` when no trained model serves
 */
export async function catalogueLearningData(stores: Stores, catalogue: string): Promise<TrainingData> {
  const [serving] = await stores.registry.generations.list(catalogue, 'serving');
  const { inputs = {} } = serving?.model ? (await stores.artifacts.get(serving.model)).manifest : {};
  const { snapshot, features, backbone } = inputs;
  if (snapshot === undefined || features === undefined || backbone === undefined) {
    throw new LookalikeError(
      'notFound',
      `Expected a trained model that serves the catalogue "${catalogue}", found none. Run \`lookalike retrain\` first.`,
    );
  }
  const config = RECIPES['default']!.config.train;
  const { split } = await prepareStage(stores, { catalogue, snapshot, features, backbone, config }, FIRST_STAGE);
  const cached = await loadCachedFeatures(stores.artifacts, features);
  return trainingDataOf(readableOf(split, cached.rowOf), cached);
}

/** Labels that differ in some directions of many: what a plain comparison finds badly and a head learns. */
export function drawnLearningData(shape: { features: number; labels: number; seed: number }): TrainingData {
  const { features: featureDim, labels: numLabels, seed } = shape;
  const signalDim = Math.min(SIGNAL_DIM, featureDim);
  const centres = normals(numLabels * signalDim, randomOf(seed, 'centres'));
  const draw = (what: keyof typeof PICTURES): { vectors: Float32Array; labels: Int32Array } => {
    const labels = Int32Array.from({ length: numLabels * PICTURES[what] }, (_, i) => Math.floor(i / PICTURES[what]));
    const vectors = normals(labels.length * featureDim, randomOf(seed, what));
    labels.forEach((label, picture) => {
      for (let j = 0; j < signalDim; j++)
        vectors[picture * featureDim + j]! += SIGNAL * centres[label * signalDim + j]!;
    });
    return { vectors, labels };
  };
  const [train, queries, catalogue] = [draw('train'), draw('queries'), draw('catalogue')];
  return {
    featureDim,
    views: 1,
    features: train.vectors,
    labels: train.labels,
    numLabels,
    queries: queries.vectors,
    queryLabels: [...queries.labels].map(String),
    catalogue: catalogue.vectors,
    catalogueLabels: [...catalogue.labels].map(String),
  };
}

/** For the processes of a bench, which all learn from the same. */
export function writeLearningData(path: string, data: TrainingData): Promise<void> {
  return writeFile(path, serialize(data));
}

export async function readLearningData(path: string): Promise<TrainingData> {
  return deserialize(await readFile(path)) as TrainingData;
}
