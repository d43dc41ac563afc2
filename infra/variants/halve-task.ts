import { readFile } from 'node:fs/promises';
import type { Preprocessing } from '../../contracts/model.ts';
import { halvedFiles } from '../../lib/export/variant-files.ts';
import type { VariantFiles } from '../../lib/export/variant-files.ts';
import { preprocess } from '../../lib/images/preprocess.ts';
import { agreementOf } from '../models/agreement.ts';
import type { Agreement } from '../models/agreement.ts';
import { checkPictures } from '../models/check-pictures.ts';
import { runOnce } from '../models/run-once.ts';
import { answerTask } from '../shards/answer-task.ts';

/** Local paths of a model's files. */
export interface HalveTaskInput {
  backbonePath: string;
  headPath: string;
  modelPath: string;
  preprocessing: Preprocessing;
}
export interface HalveTaskOutput {
  files: VariantFiles;
  agreement: Agreement;
}

await answerTask<HalveTaskInput, HalveTaskOutput>(async ({ backbonePath, headPath, modelPath, preprocessing: p }) => {
  const files = halvedFiles(await readFile(backbonePath), await readFile(headPath));
  const whole = await readFile(modelPath);
  const [expected, actual]: [Float32Array[], Float32Array[]] = [[], []];
  for (const picture of await checkPictures()) {
    const image = await preprocess(picture, p);
    const shape = [1, 3, p.size, p.size];
    expected.push(await runOnce(whole, image, shape));
    actual.push(await runOnce(files['model.onnx'], image, shape));
  }
  return { files, agreement: agreementOf(expected, actual) };
});
