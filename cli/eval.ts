import type { Command } from 'commander';
import { evaluateFiles } from '../infra/evaluation/evaluate-files.ts';
import { createEmbedder } from '../infra/inference/embedder.ts';
import { wholeNumbers } from './options.ts';
import { handles, withStores } from './run-command.ts';
import { stackReporter } from './stack-events.ts';
import { table } from './table.ts';

interface EvalOptions {
  queries: string;
  catalogue: string;
  match: string;
  model: string;
  in: string;
  k: number[];
}

/** `eval`: how good a model is on a user's own files. It touches no live catalogue and needs no running stack. */
export function addEvalCommand(program: Command): void {
  handles<EvalOptions>(
    program
      .command('eval')
      .description('how often a query finds an item of its own label, on your own files; needs no running stack')
      .requiredOption('--queries <file>', 'query pictures with known answers (as for catalogue import)')
      .requiredOption('--catalogue <file>', 'pictures to find (as for catalogue import)')
      .option(
        '--match <field>',
        'what makes a hit: label (else the category), category, id, title or attributes.NAME',
        'label',
      )
      .option('--model <model>', 'current (what serves), pretrained, or the id of a model artefact', 'current')
      .option('--in <name>', 'the live catalogue whose serving model "current" means', 'default')
      .option('--k <list>', 'recall at these numbers of results', wholeNumbers, [1, 5, 10]),
    async (context, options) =>
      withStores(context, async (stores) => {
        const { config, progress, signal } = context;
        const embedder = createEmbedder({ config, stores });
        const tasks = {
          queries: progress.task('queries', 'pictures'),
          catalogue: progress.task('catalogue', 'pictures'),
        };
        const counts = { queries: 0, catalogue: 0 };
        const report = stackReporter(progress);
        try {
          const result = await evaluateFiles({
            stores,
            config,
            embedder,
            model: options.model,
            catalogue: options.in,
            queries: options.queries,
            catalogueFile: options.catalogue,
            match: options.match,
            ks: options.k,
            signal,
            report: (event) => report({ type: 'provision', event }),
            onProgress: ({ what, done, rejected }) => {
              counts[what] = done;
              tasks[what].update(done, null, rejected > 0 ? `${rejected} rejected` : '');
            },
            onProblem: ({ source, row, id, reason }) =>
              progress.line(`  ${source}, row ${row}${id === null ? '' : ` (${id})`}: ${reason}`),
          });
          for (const what of ['queries', 'catalogue'] as const) tasks[what].finish(`${counts[what]} embedded`);
          context.print(result, () =>
            table(
              ['MODEL', ...options.k.map((k) => `recall@${k}`), 'mAP', 'QUERIES', 'CATALOGUE'],
              [
                [
                  result.model,
                  ...options.k.map((k) => (result.recall[k] ?? 0).toFixed(4)),
                  result.mAP?.toFixed(4) ?? '-',
                  result.numQueries,
                  result.numCatalogue,
                ],
              ],
            ),
          );
        } finally {
          await embedder.close();
        }
      }),
  );
}
