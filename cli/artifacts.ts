import { Option } from 'commander';
import type { Command } from 'commander';
import { ARTIFACT_KINDS } from '../contracts/artifacts.ts';
import type { Artifact, ArtifactKind } from '../contracts/artifacts.ts';
import { isLookalikeError } from '../contracts/errors.ts';
import type { Stores } from '../infra/stores.ts';
import { collectGarbage } from '../infra/artifacts/garbage.ts';
import { NUM_ROLLBACKS } from '../infra/registry/readings.ts';
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

  handles(
    group.command('lineage <id>').description('what it was made from, down to the catalogue'),
    async (context, _options, id = '') =>
      withStores(context, async (stores) => {
        const tree = await lineage(stores, 'artefact', id, new Set());
        context.print(tree, () => drawTree(tree).join('\n'));
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

interface LineageNode {
  role: string;
  id: string;
  /** `seen` stands for a branch that is drawn elsewhere, `gone` for one that garbage collection took. */
  state: 'artifact' | 'blob' | 'seen' | 'gone';
  summary: Artifact['manifest']['summary'] | null;
  inputs: LineageNode[];
}

async function lineage(stores: Stores, role: string, id: string, seen: Set<string>): Promise<LineageNode> {
  const leaf = (state: LineageNode['state']): LineageNode => ({ role, id, state, summary: null, inputs: [] });
  if (id.startsWith('sha256:')) return leaf('blob');
  if (seen.has(id)) return leaf('seen');
  const isRoot = seen.size === 0;
  seen.add(id);
  let artifact: Artifact;
  try {
    artifact = await stores.artifacts.get(id);
  } catch (error) {
    if (isRoot || !isLookalikeError(error) || error.code !== 'notFound') throw error;
    return leaf('gone');
  }
  const inputs: LineageNode[] = [];
  for (const [name, input] of Object.entries(artifact.manifest.inputs)) {
    inputs.push(await lineage(stores, name, input, seen));
  }
  return { role, id, state: 'artifact', summary: artifact.manifest.summary, inputs };
}

function drawTree(node: LineageNode, indent = ''): string[] {
  const mark = { artifact: '', blob: '', seen: ' (see above)', gone: ' (deleted)' }[node.state];
  return [
    `${indent}${node.role}: ${node.id}${mark}`,
    ...node.inputs.flatMap((input) => drawTree(input, `${indent}  `)),
  ];
}

function bytesOf(artifact: Artifact): string {
  return formatNumber(Object.values(artifact.manifest.files).reduce((sum, file) => sum + file.sizeBytes, 0));
}
