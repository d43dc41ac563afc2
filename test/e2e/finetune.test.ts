import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Artifact } from '../../contracts/artifacts.ts';
import type { RetrainOutput } from '../../contracts/workflows.ts';
import { writeDemoFiles } from '../../infra/demo/emoji.ts';
import { createInstallation } from './installation.ts';
import type { Installation } from './installation.ts';

const IN = ['--catalogue', 'shop'];
const RETRAIN = ['--recipe', 'fast', '--force', '--wait', '--set', 'index.kind=exact', '--set', 'train.epochs=2'];
/** The last convolution alone learns, from small pictures: seconds. */
const FINETUNE = ['blocks=0', 'size=96', 'outputSize=96', 'views=2', 'epochs=2', 'checkpointEverySteps=2'].flatMap(
  (setting) => ['--set', `finetune.${setting}`],
);

let shop: Installation;
beforeAll(async () => {
  shop = createInstallation();
  await shop.cli('up', '--detach');
  const files = writeDemoFiles(join(shop.dataDir, 'files'), 60);
  await shop.json('catalogue', 'import', files.items.path, ...IN);
  await shop.json('catalogue', 'import', files.train.path, ...IN, '--as', 'train');
});
afterAll(() => shop.dispose());

test('retrain with finetune settings serves a catalogue embedded by the new backbone, and makes it once', async () => {
  const output = await shop.json<RetrainOutput>('retrain', ...IN, ...RETRAIN, ...FINETUNE);
  expect(output).toMatchObject({ outcome: 'serving', generation: 1 });
  const model = await shop.json<Artifact>('artifacts', 'show', output.model);
  const tuned = await shop.json<Artifact>('artifacts', 'show', model.manifest.inputs['backbone']!);
  expect(tuned.manifest).toMatchObject({
    summary: { stage: 'backbone', name: 'efficientnet-lite0, fine-tuned', preprocessing: { size: 96 } },
    config: { finetune: { blocks: 0, size: 96, epochs: 2 } },
    inputs: { snapshot: model.manifest.inputs['snapshot'] },
  });

  const { items } = await shop.json<{ items: { id: string }[] }>('catalogue', 'list', ...IN, '--limit', '1');
  const { hits } = await shop.json<{ hits: { id: string }[] }>('search', '--id', items[0]!.id, ...IN, '--k', '5');
  expect(hits).toHaveLength(5);

  const again = await shop.json<RetrainOutput>('retrain', ...IN, ...RETRAIN, ...FINETUNE);
  expect(again).toMatchObject({ generation: 1, model: output.model });
  expect(again.reused).toEqual(expect.arrayContaining(['finetune', 'features', 'train']));
});
