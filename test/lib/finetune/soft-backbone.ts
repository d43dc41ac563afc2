import { exportOnnx } from '../../../lib/export/export-onnx.ts';
import { VALUES } from '../../../lib/export/head.ts';
import { decodeModel } from '../../../lib/export/onnx-proto.ts';
import type { ModelProto } from '../../../lib/export/onnx-proto.ts';
import { withInputSize } from '../../../lib/finetune/backbone-graph.ts';
import { buildEfficientNetLite0 } from '../../../lib/nn/efficientnet-lite0.ts';
import type { LayersModel, Tf } from '../../../lib/nn/tf.ts';

/** EfficientNet-Lite0 with seeded weights, for pictures of `size`: what an installation has without having downloaded anything. */
export function softBackbone(tf: Tf, size: number): ModelProto {
  const model = buildEfficientNetLite0(tf);
  soften(tf, model);
  const bytes = exportOnnx(model, { name: 'soft', input: VALUES.image, output: VALUES.features });
  model.dispose();
  return withInputSize(decodeModel(bytes), size);
}

/** Weights under which values neither vanish nor explode over fifty layers. */
function soften(tf: Tf, model: LayersModel): void {
  tf.tidy(() => {
    for (const layer of model.layers) {
      const drawn = layer.getWeights().map((weight, i) => {
        const { shape: sides, size } = weight;
        if (layer.getClassName() === 'BatchNormalization') {
          const [low, high] = [
            [0.8, 1.2],
            [-0.3, 0.6],
            [-0.2, 0.2],
            [0.8, 1.2],
          ][i]!;
          return tf.randomUniform(sides, low, high, 'float32', size + i);
        }
        const fan = layer.getClassName() === 'DepthwiseConv2D' ? sides[0] * sides[1]! : size / sides.at(-1)!;
        return tf.randomNormal(sides, 0, Math.sqrt(2 / fan), 'float32', size);
      });
      layer.setWeights(drawn);
    }
  });
}
