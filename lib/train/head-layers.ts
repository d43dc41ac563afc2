import type { Tensor2D } from '@tensorflow/tfjs';
import type { LossConfig, TrainConfig } from '../../contracts/training.ts';
import { dense } from '../pipeline/layers/dense.ts';
import type { Layer, LossLayer, ParameterSpec } from '../pipeline/layers/layer.ts';
import { l2Normalise, relu, unitRows } from '../pipeline/layers/row-wise.ts';
import type { Model } from '../pipeline/model.ts';
import { createLoss, usesProxies } from './losses/index.ts';
import { normals, randomOf } from './random.ts';

/** F features, hidden widths, D embedding, C labels. */
export interface HeadShape {
  featureDim: number;
  /** None by default: the head is a projection. */
  hidden?: readonly number[];
  dim: number;
  numLabels: number;
}

const PROJECTION = 'projection';
/** The loss, and its proxies where it has them. */
const PROXIES = 'proxies';

/** From standardised features [B, F] to unit rows [B, D]: what is exported and what every strategy trains. */
export function headLayers({ featureDim, hidden = [], dim }: Omit<HeadShape, 'numLabels'>): Layer[] {
  const builders = [
    ...hidden.flatMap((width, i) => [dense(`hidden${i + 1}`, width), relu(`relu${i + 1}`)]),
    dense(PROJECTION, dim),
    l2Normalise('embedding'),
  ];
  const layers: Layer[] = [];
  for (const build of builders) layers.push(build(layers.at(-1)?.outputShape ?? [featureDim]));
  return layers;
}

/** Layers and loss as one chain that can be cut. Its initial values are not the layers' own, but `initialRange`. */
export function headChain(config: Pick<TrainConfig, 'loss' | 'seed'>, shape: HeadShape, numRows: number): Model {
  const layers = headLayers(shape);
  return { name: 'head', inputShape: [shape.featureDim], layers, loss: lossLayer(config, shape, numRows) };
}

/** The name under which a head keeps a layer's parameter: those of the projection and the proxies bear no layer's name. */
export function nameInHead(layer: string, parameter: string): string {
  return layer === PROJECTION || layer === PROXIES ? parameter : `${layer}.${parameter}`;
}

/** Losses of which each row's share depends on that row alone, so that a batch may be taken in parts. All others see it whole. */
export function isRowWise({ kind }: Pick<LossConfig, 'kind'>): boolean {
  return kind === 'proxySoftmax' || kind === 'arcFace';
}

function lossLayer(
  { loss: config, seed }: Pick<TrainConfig, 'loss' | 'seed'>,
  { dim, numLabels }: HeadShape,
  numRows: number,
): LossLayer {
  const loss = createLoss(config);
  const initial = (random: () => number): Float32Array => normals(numLabels * dim, random);
  const proxies: ParameterSpec = { name: 'proxies', shape: [numLabels, dim], decays: false, initial };
  return {
    name: PROXIES,
    inputShape: [dim],
    parameters: usesProxies(config) ? [proxies] : [],
    flopsPerRow: 2 * dim * (usesProxies(config) ? numLabels : numRows),
    isRowWise: isRowWise(config),
    loss: (tf, input, labels, [own], step) =>
      loss({
        ...{ tf, labels, embeddings: input as Tensor2D },
        proxies: own === undefined ? null : unitRows(tf, own),
        random: randomOf(seed, 'loss', step),
      }),
  };
}
