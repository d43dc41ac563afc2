import { Option } from 'commander';
import type { Command } from 'commander';
import { ARTIFACT_KINDS } from '../contracts/artifacts.ts';
import type { Artifact, ArtifactKind } from '../contracts/artifacts.ts';
import { collectGarbage } from '../infra/artifacts/garbage.ts';
import { lineageOf } from '../infra/artifacts/lineage.ts';
import { NUM_ROLLBACKS } from '../infra/registry/readings.ts';
import { drawMermaid, drawTree } from './lineage-view.ts';
import { wholeNumber } from './options.ts';
import { formatNumber } from './progress.ts';
import { handles, withStores } from './run-command.ts';
import { table } from './table.ts';

/** `artifacts list | show | lineage | gc`. They need the stores only. */
export function addArtifactCommands(program: Command): void {
  const group = program.command('artifacts').description('what was made, from what, and how');

  handles<{ kind?: ArtifactKind; limit: number }>(
    group
      .command('list')
      .description('artefacts, newest first')
      .addOption(new Option('--kind <kind>', 'only of this kind').choices(ARTIFACT_KINDS))
      .option('--limit <n>', 'how many', wholeNumber(1), 50),
    async (context, { kind, limit }) =>
      withStores(context, async ({ artifacts }) => {
        const all = await artifacts.list(kind);
        const shown = all.slice(0, limit);
        context.print({ total: all.length, artifacts: shown }, () =>
          table(
            ['ARTEFACT', 'MADE', 'FILES', 'BYTES'],
            shown.map((row) => [row.id, row.storedAt, Object.keys(row.manifest.files).length, bytesOf(row)]),
          ),
        );
      }),
  );

  handles(
    group.command('show <id>').description('the manifest: inputs, configuration, metrics, files'),
    async (context, _options, id = '') =>
      withStores(context, async ({ artifacts }) => {
        const artifact = await artifacts.get(id);
        context.print(artifact, () => JSON.stringify(artifact, null, 2));
      }),
  );

  handles<{ mermaid?: boolean }>(
    group
      .command('lineage <id>')
      .description('what it was made from, how and how good, down to the catalogue')
      .option('--mermaid', 'as a Mermaid flowchart'),
    async (context, { mermaid }, id = '') =>
      withStores(context, async ({ artifacts }) => {
        const tree = await lineageOf(artifacts, id);
        context.print(tree, () => (mermaid === true ? drawMermaid(tree) : drawTree(tree).join('\n')));
      }),
  );

  handles<{ delete?: boolean; rollbacks: number }>(
    group
      .command('gc')
      .description('find what nothing refers to any more')
      .option(
        '--rollbacks <n>',
        'retired generations of each catalogue to keep whole: those that served last',
        wholeNumber(0),
        NUM_ROLLBACKS,
      )
      .option('--delete', 'delete it; without this flag it is only counted'),
    async (context, options) =>
      withStores(context, async (stores) => {
        const { rollbacks: numRollbacks } = options;
        const dryRun = options.delete !== true;
        const summary = await collectGarbage(stores, { now: Date.now(), dryRun, numRollbacks });
        context.print(summary, () => JSON.stringify(summary, null, 2));
      }),
  );
}

function bytesOf(artifact: Artifact): string {
  return formatNumber(Object.values(artifact.manifest.files).reduce((sum, file) => sum + file.sizeBytes, 0));
}
