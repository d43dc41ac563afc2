import { Option } from 'commander';
import type { Command } from 'commander';
import { LookalikeError } from '../contracts/errors.ts';
import { importCatalogue } from '../infra/import/import-catalogue.ts';
import { CATALOGUE_OPTION, catalogueName, wholeNumber } from './options.ts';
import { handles, withStores } from './run-command.ts';
import { formatNumber } from './progress.ts';
import { table } from './table.ts';

interface InCatalogue {
  catalogue: string;
}

/** `catalogue import | list | show | remove`. They need the stores only, not a running stack. */
export function addCatalogueCommands(program: Command): void {
  const group = program.command('catalogue').description('the items that can be found, and examples to learn from');

  handles<InCatalogue & { as: 'items' | 'train' | 'holdout' }>(
    group
      .command('import <source>')
      .description(
        'take items from a folder, a .csv, .jsonl or .parquet file (fields: id, image, category, label, title)',
      )
      .option(...CATALOGUE_OPTION)
      .addOption(
        new Option(
          '--as <role>',
          'items, or query pictures with known answers to learn from (train) or to judge by (holdout)',
        )
          .choices(['items', 'train', 'holdout'])
          .default('items'),
      ),
    async (context, { catalogue, as }, source = '') => {
      const task = context.progress.task('import', 'rows');
      const summary = await withStores(context, (stores) =>
        importCatalogue({
          source,
          catalogue,
          as: as === 'items' ? 'items' : { examples: as },
          stores,
          config: context.config,
          signal: context.signal,
          onProgress: ({ done, total }) => task.update(done, total),
          onRejected: ({ row, id, reason }) =>
            context.progress.line(`  row ${row}${id === null ? '' : ` (${id})`}: ${reason}`),
        }),
      );
      const { added, changed, unchanged, rejected } = summary;
      const counts = { added, changed, unchanged, rejected: rejected.length };
      const words = Object.entries(counts).map(([name, count]) => `${formatNumber(count)} ${name}`);
      task.finish(words.join(', '));
      context.print({ catalogue, ...summary }, () => `${catalogue}: ${words.join(', ')}`);
    },
  );

  handles<{ catalogue?: string; category?: string; after?: string; limit: number }>(
    group
      .command('list')
      .description('all catalogues, or the items of one')
      .option('--catalogue <name>', 'list the items of this catalogue', catalogueName)
      .option('--category <name>', 'only items of this category')
      .option('--after <id>', 'start behind this id')
      .option('--limit <n>', 'how many items', wholeNumber(1, 10_000), 50),
    async (context, { catalogue, category, after, limit }) =>
      withStores(context, async ({ registry }) => {
        if (catalogue === undefined) {
          const catalogues = await registry.catalogue.catalogues();
          context.print({ catalogues }, () =>
            table(
              ['CATALOGUE', 'ITEMS', 'EXAMPLES'],
              catalogues.map((row) => [row.catalogue, row.numItems, row.numExamples]),
            ),
          );
          return;
        }
        const items = await registry.catalogue.listItems(catalogue, { afterId: after, limit, category });
        context.print({ catalogue, items }, () =>
          table(
            ['ID', 'CATEGORY', 'LABEL', 'TITLE'],
            items.map((item) => [item.id, item.category, item.label, item.title]),
          ),
        );
      }),
  );

  handles<InCatalogue>(
    group
      .command('show <id>')
      .description('one item with all its fields')
      .option(...CATALOGUE_OPTION),
    async (context, { catalogue }, id = '') =>
      withStores(context, async ({ registry }) => {
        const [item] = await registry.catalogue.getItems(catalogue, [id]);
        if (item === undefined) {
          throw new LookalikeError('notFound', `Expected an item "${id}" in catalogue ${catalogue}, found none.`);
        }
        context.print(item, () => JSON.stringify(item, null, 2));
      }),
  );

  handles<InCatalogue>(
    group
      .command('remove <id...>')
      .description('take items out: no search finds them from then on')
      .option(...CATALOGUE_OPTION),
    async (context, { catalogue }, ...ids) =>
      withStores(context, async ({ registry }) => {
        const removed = await registry.catalogue.deleteItems(catalogue, ids);
        context.print({ catalogue, removed }, () => `${catalogue}: ${removed} of ${ids.length} removed`);
      }),
  );
}
