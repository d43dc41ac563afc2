import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';
import { LookalikeError } from '../contracts/errors.ts';
import type { SearchEffort } from '../contracts/ann.ts';
import type { SimilarAnswer, SimilarItemsOutput } from '../contracts/similar.ts';
import { effortOf } from '../infra/shards/search-effort.ts';
import { SimilarConfigSchema } from '../infra/similar/similar-config.ts';
import { startSimilarItems } from '../infra/temporal/similar-client.ts';
import { workflowUrl } from '../infra/temporal/workflow-list.ts';
import { getJson } from './api-client.ts';
import { followRetrain } from './follow-retrain.ts';
import { CATALOGUE_OPTION, wholeNumber, withApiOptions } from './options.ts';
import { handles } from './run-command.ts';
import { apiTarget, withEffortOptions } from './search.ts';
import { table } from './table.ts';
import { withTemporal } from './workflows.ts';

interface BuildOptions {
  catalogue: string;
  k: number;
  withinCategory?: boolean;
  nearDuplicates?: number | 'none';
  exact?: boolean;
  chunkItems: number;
  wait?: boolean;
}

interface ShowOptions extends SearchEffort {
  catalogue: string;
  k: number;
  withinCategory?: boolean;
  live?: boolean;
  url?: string;
  key?: string;
}

/** `similar build | show`: every item's neighbours, found in advance and looked up. */
export function addSimilarCommands(program: Command): void {
  const group = program.command('similar').description("every item's nearest neighbours, found in advance");
  addBuildCommand(group);
  addShowCommand(group);
}

function addBuildCommand(group: Command): void {
  const defaults = SimilarConfigSchema.parse({});
  handles<BuildOptions>(
    group
      .command('build')
      .description('find the neighbours of every item of the index that serves; resumes what an earlier run left')
      .option(...CATALOGUE_OPTION)
      .option('--k <n>', 'neighbours kept for each item', wholeNumber(1, 1_000), defaults.k)
      .option('--within-category', "only neighbours of the item's own category")
      .option(
        '--near-duplicates <score>',
        'score from which on items are near-duplicates, or `none` (default: 0.98 under cosine)',
        scoreOrNone,
      )
      .option('--exact', 'compare with every vector, whatever the kind of the index')
      .option('--chunk-items <n>', 'items of one activity', wholeNumber(100, 1_000_000), defaults.chunkItems)
      .option('--wait', 'show the run until it ends; exit code 1 if it fails'),
    async (context, { catalogue, k, chunkItems, nearDuplicates, ...options }) => {
      const { data: config, error } = SimilarConfigSchema.safeParse({
        ...{ k, chunkItems, exact: options.exact === true, withinCategory: options.withinCategory === true },
        ...(nearDuplicates !== undefined && { nearDuplicateScore: nearDuplicates === 'none' ? null : nearDuplicates }),
      });
      if (config === undefined) {
        const why = error.issues.map(({ path, message }) => `${path.join('.')} to be ${message}`).join(', ');
        throw new LookalikeError('invalidInput', `Expected ${why}; got ${JSON.stringify({ k, chunkItems })}.`);
      }
      await withTemporal(context, async (client) => {
        const run = await startSimilarItems(client, { catalogue, config });
        const url = workflowUrl(context.config, run.workflowId, run.runId);
        context.progress.line(`${run.started ? 'Started' : 'Joined the run under way:'} ${run.workflowId}  ${url}`);
        if (!options.wait) {
          context.print({ ...run, url }, () => `${run.workflowId} ${run.runId}`);
          return;
        }
        const following = { client, ...run, progress: context.progress, signal: context.signal };
        const output = await followRetrain<SimilarItemsOutput>(following);
        context.print({ ...run, url, ...output }, () => describeOutput(output));
      });
    },
  );
}

function addShowCommand(group: Command): void {
  handles<ShowOptions>(
    withApiOptions(
      withEffortOptions(
        group
          .command('show <item>')
          .description('what looks like an item; asks the running API')
          .option(...CATALOGUE_OPTION)
          .option('--k <n>', 'how many results', wholeNumber(1, 1_000), 10)
          .option('--within-category', "only items of the item's own category")
          .option('--live', 'search now, even where the answer was found in advance'),
      ),
    ),
    async (context, options, item = '') => {
      const { catalogue, k, live, withinCategory } = options;
      const path = `/v1/catalogues/${encodeURIComponent(catalogue)}/items/${encodeURIComponent(item)}/similar`;
      const query = new URLSearchParams({
        ...{ k: String(k), live: String(live === true), withinCategory: String(withinCategory === true) },
        ...Object.fromEntries(Object.entries(effortOf(options)).map(([name, value]) => [name, String(value)])),
      });
      const address = `${path}?${query.toString()}`;
      const answer = (await getJson(apiTarget(context, options), address, context.signal)) as SimilarAnswer;
      context.print(answer, () => describeAnswer(answer));
    },
  );
}

/** For commander. */
export function scoreOrNone(text: string): number | 'none' {
  // Not null: commander takes that for an option without a value.
  if (text === 'none') return text;
  const score = Number(text);
  if (text.trim() === '' || !Number.isFinite(score)) {
    throw new InvalidArgumentError(`Expected a score such as 0.98, or none, got "${text}".`);
  }
  return score;
}

function describeOutput({ numItems, numGroups, numGrouped, generation, similar, reused }: SimilarItemsOutput): string {
  return [
    `${numItems} items of generation ${generation}: ${similar}${reused ? ' (found already made)' : ''}`,
    `${numGrouped} of them are near-duplicates of another, in ${numGroups} groups.`,
  ].join('\n');
}

function describeAnswer({ hits, nearDuplicates, source, generation }: SimilarAnswer): string {
  const lines = [
    table(
      ['SCORE', 'ID', 'CATEGORY', 'TITLE'],
      hits.map((hit) => [hit.score.toFixed(4), hit.id, hit.category, hit.title]),
    ),
    '',
    `Generation ${generation}, ${source === 'batch' ? 'found in advance' : 'searched now'}.`,
  ];
  if (nearDuplicates.length > 0) lines.push(`Near-duplicates: ${nearDuplicates.map(({ id }) => id).join(', ')}.`);
  return lines.join('\n');
}
