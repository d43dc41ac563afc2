import {
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { GenerationChange } from '../activities/interfaces.ts';
import type { FinetuneConfig } from '../contracts/finetune.ts';
import type { EmbedCatalogueInput, RetrainInput, RetrainOutput } from '../contracts/workflows.ts';
import { catalogue as registry, models, snapshots, switching } from './activity-options.ts';
import { buildIndex } from './build-index.ts';
import { runChild } from './children.ts';
import { embedCatalogue } from './embed-catalogue.ts';
import { evaluateCandidate } from './evaluate-candidate.ts';
import { failureCode, rootMessage } from './failure.ts';
import { finetune } from './finetune.ts';
import { generationKey, modelKey, progressQuery, statusKey } from './messages.ts';
import { stepTable } from './steps.ts';
import { train } from './train.ts';

const STEPS = ['snapshot', 'backbone', 'finetune', 'features', 'train', 'evaluate', 'embed', 'index', 'serve'] as const;

/**
 * From the catalogue as it stands to a generation that serves it. Every step looks for its finished result first, so a repeated
 * run redoes nothing; if nothing changed at all, the serving generation is reused. A candidate that the gate refuses, a failure
 * and a cancel mark the generation and change nothing that serves; only during the switch a cancel comes too late and the run
 * completes. Bounded: about fifteen steps, each an activity or a child.
 */
export async function retrain(input: RetrainInput): Promise<RetrainOutput> {
  const { catalogue, config, force, order } = input;
  const tuning = config.finetune;
  const steps = stepTable(STEPS.filter((step) => step !== 'finetune' || tuning !== undefined));
  setHandler(progressQuery, () => steps.progress());
  const run = steps.run.bind(steps);
  let building: number | null = null;

  const record = async (change: GenerationChange): Promise<void> => {
    if (building !== null) await registry.recordGeneration({ catalogue, generation: building, change });
  };
  const open = async (snapshot: string, always: boolean) => {
    const opened = await registry.openGeneration({ catalogue, snapshot, config, always, order });
    if (opened.created) building = opened.generation;
    upsertSearchAttributes([{ key: generationKey, value: String(opened.generation) }]);
    return opened;
  };
  const embed = (step: string, request: Omit<EmbedCatalogueInput, 'catalogue'>, about: string) =>
    runChild(embedCatalogue, step, catalogue, { catalogue, ...request }, about);

  try {
    // Views of a picture teach without labels.
    const needsLabels = config.train.supervision !== 'views';
    const { snapshot, unlearnable } = await run('snapshot', async () => {
      const made = await snapshots.takeSnapshot({ catalogue });
      const counts = `${made.numItems} items, ${made.numExamples} examples, ${made.numImages} pictures`;
      const why = needsLabels ? made.untrained : undefined;
      const detail = why === undefined ? counts : `${counts}. Nothing will be trained: ${why}`;
      return { value: { snapshot: made.artifact, unlearnable: why }, detail, reused: made.reused };
    });
    let opened = await open(snapshot, false);

    const [base, pretrained] = await run('backbone', async () => {
      const given = await models.ensureBackbone({ name: config.backbone });
      const untrained = await models.ensurePretrained({ backbone: given.artifact });
      const value = [given.artifact, untrained.artifact] as const;
      return { value, detail: `${config.backbone} \`${given.artifact}\``, reused: given.reused && untrained.reused };
    });

    const finetuned = async (settings: FinetuneConfig) => {
      if (unlearnable !== undefined) return { value: base, detail: `Left as it is. ${unlearnable}`, reused: true };
      const request = { catalogue, snapshot, backbone: base, config: settings };
      const about = `Fine-tuning for ${catalogue} (${config.recipe})`;
      const made = await runChild(finetune, 'finetune', catalogue, request, about);
      const named = `\`${made.backbone}\``;
      const detail = made.untrained === undefined ? named : `Left as it is: ${named}. ${made.untrained}`;
      return { value: made.backbone, detail, reused: made.reused };
    };
    const backbone = tuning === undefined ? base : await run('finetune', () => finetuned(tuning));

    const features = await run('features', async () => {
      // Views but the plain one are for training only.
      const request = { snapshot, model: backbone, views: unlearnable === undefined ? config.views : 1 };
      const made = await embed('features', request, `Features of ${catalogue} by ${config.backbone}`);
      const detail = `${made.numEmbedded} pictures computed, ${made.numReused} reused, ${made.numRejected} rejected`;
      return { value: made.embeddings, detail, reused: made.reused };
    });

    const { model, untrained } = await run('train', async () => {
      const request = { catalogue, snapshot, features, backbone, config: config.train };
      const made = await runChild(train, 'train', catalogue, request, `Training of ${catalogue} (${config.recipe})`);
      const named = `\`${made.model}\``;
      const detail =
        made.untrained === undefined ? named : `Not trained: ${named} is the untrained model. ${made.untrained}`;
      return { value: made, detail, reused: made.reused };
    });
    upsertSearchAttributes([{ key: modelKey, value: model }]);
    await record({ model });

    const { quality, verdict, comparison } = await run('evaluate', () =>
      evaluateCandidate(input, {
        snapshot,
        backbone,
        base,
        features,
        model,
        pretrained,
        serving: opened.serving?.model ?? null,
        replacesTrained: untrained !== undefined && opened.serving !== null && opened.serving.untrained !== true,
      }),
    );
    const { reasons, overruled } = verdict;
    const override = overruled ? { by: order?.by, reason: order?.reason, at: new Date().toISOString() } : undefined;
    const metrics = JSON.parse(
      JSON.stringify({ quality, reasons, forced: force, override, untrained, comparison }),
    ) as GenerationChange['metrics'];
    const result = { model, quality, reasons, ...(untrained !== undefined && { untrained }) };
    if (!verdict.accepted) {
      await record({ status: 'rejected', metrics });
      upsertSearchAttributes([{ key: statusKey, value: 'rejected' }]);
      const { generation } = opened;
      return { ...result, outcome: 'rejected', generation, index: null, indexRecall: null, reused: steps.reused() };
    }

    const embeddings = await run('embed', async () => {
      const made = await embed('embed', { snapshot, model, views: 1, features }, `Embeddings of ${catalogue}`);
      const detail = `${made.numEmbedded} pictures embedded, ${made.numReused} reused, ${made.numRejected} rejected`;
      return { value: made.embeddings, detail, reused: made.reused };
    });

    const built = await run('index', async () => {
      const { index: spec, numShards, gate } = config;
      const request = { catalogue, snapshot, embeddings, model, spec, numShards, minIndexRecall: gate.minIndexRecall };
      const made = await runChild(buildIndex, 'index', catalogue, request, `Index of ${catalogue}`);
      const detail = `${numShards} shards, recall@10 against exact ${made.recall}`;
      return { value: made, detail, reused: made.reused };
    });
    const { index, recall: indexRecall } = built;

    // Same inputs, yet another result (other code, say): what serves must not be taken for it.
    const same = opened.serving?.model === model && opened.serving.index === index;
    if (!opened.created && !same) opened = await open(snapshot, true);
    const { generation } = opened;
    await record({ model, embeddings, index, metrics: { ...metrics, indexRecall } });

    await run('serve', async () => {
      const target = { generation, index, model, numReplicas: config.numReplicas };
      await CancellationScope.nonCancellable(() => switching.serveGeneration({ catalogue, target }));
      return { value: null, detail: `Generation ${generation} serves.`, reused: !opened.created };
    });
    upsertSearchAttributes([{ key: statusKey, value: 'serving' }]);
    return { ...result, outcome: 'serving', generation, index, indexRecall, reused: steps.reused() };
  } catch (error) {
    const reasons = [rootMessage(error)];
    await CancellationScope.nonCancellable(() => record({ status: 'failed', metrics: { reasons } }));
    upsertSearchAttributes([{ key: statusKey, value: isCancellation(error) ? 'cancelled' : 'failed' }]);
    if (isCancellation(error)) throw error;
    const cause = error instanceof Error ? error : undefined;
    throw ApplicationFailure.create({
      message: reasons[0],
      type: failureCode(error) ?? undefined,
      nonRetryable: true,
      cause,
    });
  }
}
