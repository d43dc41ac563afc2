import { Option } from 'commander';
import type { Command } from 'commander';
import { PRECISIONS } from '../contracts/model.ts';
import type { Precision, VariantQuality } from '../contracts/model.ts';
import { resolveModel } from '../infra/evaluation/resolve-model.ts';
import { exportModel } from '../infra/variants/export-model.ts';
import type { ExportedModel } from '../infra/variants/export-model.ts';
import { MAX_RECALL_DROP } from '../infra/variants/int8-settings.ts';
import { CATALOGUE_OPTION, amount } from './options.ts';
import { formatNumber } from './progress.ts';
import { handles, withStores } from './run-command.ts';
import { stackReporter } from './stack-events.ts';

interface ExportOptions {
  precision: Precision;
  out: string;
  catalogue: string;
  maxRecallDrop: number;
}

/** `models export`: a model as one ONNX file for use elsewhere; needs no running stack. */
export function addModelCommands(program: Command): void {
  const group = program.command('models').description('models for use elsewhere');
  handles<ExportOptions>(
    group
      .command('export [model]')
      .description('a model as one ONNX file: current (what serves), pretrained, or the id of a model artefact')
      .addOption(
        new Option('--precision <precision>', 'fp16: half the bytes; int8: a quarter, calibrated and judged')
          .choices(PRECISIONS)
          .default('fp32'),
      )
      .requiredOption('--out <folder>', 'where the files go')
      .option(CATALOGUE_OPTION[0], 'what serves it; int8 is calibrated on its pictures', CATALOGUE_OPTION[2], 'default')
      .option('--max-recall-drop <share>', 'recall@1 that int8 may lose', amount(0, 1), MAX_RECALL_DROP),
    async (context, { precision, out, catalogue, maxRecallDrop }, named = 'current') =>
      withStores(context, async (stores) => {
        const { config, progress, signal } = context;
        const report = stackReporter(progress);
        const model = await resolveModel({
          ...{ stores, config, model: named, catalogue },
          report: (event) => report({ type: 'provision', event }),
        });
        const tasks = { calibrate: progress.task('calibrate', 'pictures'), judge: progress.task('judge', 'pictures') };
        const exported = await exportModel({
          ...{ stores, config, model, precision, catalogue, maxRecallDrop, out, signal },
          onProgress: (what, done, total) => {
            tasks[what].update(done, total);
            if (done === total) tasks[what].finish(`${total} pictures`);
          },
        });
        context.print(exported, () => describeExport(exported));
      }),
  );
}

function describeExport({ onnxPath, jsonPath, description }: ExportedModel): string {
  const { sizeBytes, artifact, metrics } = description as unknown as {
    sizeBytes: number;
    artifact: string;
    metrics: { quality?: VariantQuality };
  };
  const lines = [`${onnxPath}: ${formatNumber(sizeBytes)} bytes, ${artifact}`, `${jsonPath}: how to feed it`];
  const { quality } = metrics;
  if (quality?.recallAt1) {
    const { model, variant, variantQueries } = quality.recallAt1;
    lines.push(
      `recall@1 on ${quality.numQueries} queries: ${variant.toFixed(4)} by this file, ${model.toFixed(4)} by fp32; ` +
        `${variantQueries.toFixed(4)} with queries by this file and the catalogue by fp32`,
    );
  }
  return [...lines, ...(quality?.reasons ?? [])].join('\n');
}
