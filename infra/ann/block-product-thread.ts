import { parentPort } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { encodeModel } from '../../lib/export/onnx-proto.ts';
import type { ProductReply, ProductRequest } from './block-product.ts';

/** rows [m, k] times queries [n, k] transposed: the one node of the graph. */
function productGraph(): Uint8Array {
  const matrix = (name: string, height: string, width: string) => ({
    name,
    type: { tensor_type: { elem_type: 1, shape: { dim: [{ dim_param: height }, { dim_param: width }] } } },
  });
  return encodeModel({
    ir_version: 8,
    opset_import: [{ domain: '', version: 13 }],
    graph: {
      name: 'product',
      node: [
        {
          ...{ name: 'product', op_type: 'Gemm', input: ['rows', 'queries'], output: ['out'] },
          attribute: [{ name: 'transB', type: 2, i: 1 }],
        },
      ],
      initializer: [],
      input: [matrix('rows', 'm', 'k'), matrix('queries', 'n', 'k')],
      output: [matrix('out', 'm', 'n')],
    },
  });
}

// One core per thread: cores are filled with blocks, not with slices of one block.
const session = InferenceSession.create(productGraph(), {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionProviders: ['cpu'],
  logSeverityLevel: 3,
});

async function multiply({ rows, queries, dim, out }: ProductRequest): Promise<ProductReply> {
  try {
    const [m, n] = [rows.length / dim, queries.length / dim];
    const feeds = { rows: new Tensor('float32', rows, [m, dim]), queries: new Tensor('float32', queries, [n, dim]) };
    // Given where to write, the runtime copies nothing.
    await (await session).run(feeds, { out: new Tensor('float32', out, [m, n]) });
    return {};
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

parentPort!.on('message', (request: ProductRequest) => {
  void multiply(request).then((reply) => parentPort!.postMessage(reply));
});
