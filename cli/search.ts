import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { CropBox } from '../contracts/crop.ts';
import { LookalikeError, errorMessage } from '../contracts/errors.ts';
import type { AttributeFilter } from '../contracts/filters.ts';
import type { SearchEffort } from '../contracts/ann.ts';
import { SEARCH_EFFORTS } from '../contracts/ann.ts';
import type { SearchAnswer, SearchExplanation, SearchHit } from '../contracts/serving.ts';
import { EFFORT_MEANINGS, EFFORT_NAMES, effortOf } from '../infra/shards/search-effort.ts';
import { runningState } from '../infra/supervisor/run-state.ts';
import { postJson } from './api-client.ts';
import type { ApiTarget } from './api-client.ts';
import { cropBox } from './crop-option.ts';
import { CATALOGUE_OPTION, amount, collect, wholeNumber, withApiOptions } from './options.ts';
import { handles } from './run-command.ts';
import type { CommandContext } from './run-command.ts';
import { table } from './table.ts';
import { collectBoost, collectWhere } from './where.ts';
import type { Boosts } from './where.ts';

interface SearchOptions extends SearchEffort {
  catalogue: string;
  image?: string;
  crop?: CropBox;
  id?: string;
  vector?: string;
  moreLike?: string[];
  lessLike?: string[];
  k: number;
  category?: string;
  where?: AttributeFilter;
  minScore?: string;
  minProbability?: number;
  exactScores?: boolean;
  diversity?: number;
  nearDuplicates?: number;
  boost?: Boosts;
  rerankDepth?: number;
  groupBy?: string;
  groupSize?: number;
  facet?: string[];
  facetSize?: number;
  cursor?: string;
  exact?: boolean;
  explain?: boolean;
  allowPartial?: boolean;
  timeout?: number;
  url?: string;
  key?: string;
}

/** `search`: asks the running API what looks like a picture, an item or a vector. */
export function addSearchCommand(program: Command): void {
  handles<SearchOptions>(
    withApiOptions(
      withEffortOptions(
        program
          .command('search')
          .description('what looks like a picture, an item or a vector; asks the running API')
          .option(...CATALOGUE_OPTION)
          .option('--image <file>', 'a picture, or an http(s) URL that the API fetches')
          .option(
            '--crop <box>',
            'with --image: only this part, left,top,width,height in shares; 40,60,200,200px in pixels',
            cropBox,
          )
          .option('--id <item>', 'an item of the catalogue')
          .option('--vector <file>', 'a JSON array of numbers, or what `lookalike embed --json` printed')
          .option('--more-like <item>', 'an item that results should look like too; several by repeating it', collect)
          .option('--less-like <item>', 'an item that results should look less like; several by repeating it', collect)
          .option('--k <n>', 'how many results', wholeNumber(1, 1_000), 10)
          .option('--category <name>', 'only items of this category')
          .option(
            '--where <condition>',
            'only items with such an attribute: brand=acme, size=s,m or price<=50',
            collectWhere,
          )
          .option('--min-score <x>', 'only results that score at least this')
          .option('--min-probability <p>', 'only results that show the same product so probably, 0..1', amount(0, 1))
          .option('--exact-scores', 'score what is found in full precision')
          .option(
            '--diversity <x>',
            're-rank: how much likeness to the results before counts against one, 0..1',
            amount(0, 1),
          )
          .option('--near-duplicates <score>', 're-rank: of results so alike only the first', amount(-1, 1))
          .option('--boost <condition:weight>', 're-rank: raise items with an attribute, brand=acme:0.1', collectBoost)
          .option('--rerank-depth <n>', 'candidates that are re-ranked', wholeNumber(1, 500))
          .option('--group-by <field>', 'the best of each `label` (product), `category` or attribute')
          .option('--group-size <n>', 'with --group-by: items told of each group', wholeNumber(1, 100))
          .option('--facet <field>', '`category` or an attribute: count its values; several by repeating it', collect)
          .option('--facet-size <n>', 'values told of each facet', wholeNumber(1, 1_000))
          .option('--cursor <text>', 'go on after an answer of the same search, with what it said')
          .option('--exact', 'compare with every vector, whatever the index kind')
          .option('--allow-partial', 'answer although some shards do not')
          .option('--timeout <ms>', 'give up after so long', wholeNumber(1, 60_000))
          .option('--explain', 'tell how the answer came to be: shards, replicas, indices, times'),
      ),
    ),
    async (context, options) => {
      const query = await readQuery(options);
      const { k, category, exact } = options;
      const minScore = options.minScore === undefined ? undefined : Number(options.minScore);
      if (Number.isNaN(minScore)) {
        throw new LookalikeError('invalidInput', `Expected --min-score as a number, got "${options.minScore}".`);
      }
      const question = options.explain === true ? '?explain=true' : '';
      const path = `/v1/catalogues/${encodeURIComponent(options.catalogue)}/search${question}`;
      const body = {
        ...query,
        moreLike: options.moreLike,
        lessLike: options.lessLike,
        k,
        category,
        filter: options.where,
        minScore,
        minProbability: options.minProbability,
        exactScores: options.exactScores,
        diversity: options.diversity,
        nearDuplicateScore: options.nearDuplicates,
        boosts: options.boost,
        rerankDepth: options.rerankDepth,
        groupBy: options.groupBy,
        groupSize: options.groupSize,
        facets: options.facet,
        facetSize: options.facetSize,
        cursor: options.cursor,
        exact,
        allowPartial: options.allowPartial,
        timeoutMs: options.timeout,
        ...effortOf(options),
      };
      const answer = (await postJson(apiTarget(context, options), path, body, context.signal)) as SearchAnswer;
      context.print(answer, () => describeAnswer(answer));
    },
  );
}

/** An option for each parameter of a search's effort: `--ef-search` for `efSearch`. */
export function withEffortOptions(command: Command): Command {
  for (const name of EFFORT_NAMES) {
    const [min, max] = SEARCH_EFFORTS[name];
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    command.option(`--${flag} <n>`, EFFORT_MEANINGS[name], wholeNumber(min, max));
  }
  return command;
}

export function apiTarget(context: CommandContext, options: { url?: string; key?: string }): ApiTarget {
  const { api } = context.config;
  const url = options.url ?? runningState(context.config)?.urls.api ?? `http://127.0.0.1:${api.port}`;
  return { url, key: options.key ?? api.key };
}

async function readQuery(options: SearchOptions): Promise<object> {
  const { image, id, vector, crop } = options;
  if (crop !== undefined && image === undefined) {
    throw new LookalikeError('invalidInput', 'Expected --crop together with --image, whose part it is.');
  }
  const given = [image, id, vector].filter((query) => query !== undefined);
  if (given.length === 0 && options.moreLike !== undefined) return {};
  if (given.length !== 1) {
    throw new LookalikeError(
      'invalidInput',
      `Expected one of --image, --id and --vector, or --more-like, got ${given.length} of them.`,
    );
  }
  if (id !== undefined) return { itemId: id };
  if (image !== undefined) {
    if (/^https?:\/\//.test(image)) return { imageUrl: image, crop };
    return { imageBase64: (await readNamed(image)).toString('base64'), crop };
  }
  return { vector: readVector((await readNamed(vector ?? '')).toString('utf8'), vector ?? '') };
}

function readVector(text: string, file: string): number[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new LookalikeError('invalidInput', `Expected JSON in ${file}: ${errorMessage(error)}.`);
  }
  const embedded = (value as { embeddings?: { vector?: unknown }[] } | null)?.embeddings?.[0]?.vector;
  const vector = embedded ?? value;
  if (Array.isArray(vector) && vector.length > 0 && vector.every((x) => typeof x === 'number')) return vector;
  throw new LookalikeError('invalidInput', `Expected a JSON array of numbers in ${file}, got something else.`);
}

async function readNamed(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new LookalikeError('notFound', `Expected a readable file at ${path}: ${errorMessage(error)}.`);
  }
}

function describeAnswer(answer: SearchAnswer): string {
  const { coverage, timingsMs, facets = [], nextCursor, explanation } = answer;
  const timings = Object.entries(timingsMs).map(([stage, ms]) => `${stage} ${ms.toFixed(1)}`);
  return [
    table(
      ['SCORE', 'SAME', 'ID', 'CATEGORY', 'TITLE'],
      answer.hits.flatMap(({ group, ...hit }) => [
        rowOf(hit),
        ...(group?.more ?? []).map((one) => rowOf({ ...one, id: `  ${one.id}` })),
      ]),
    ),
    '',
    ...facets.map(
      ({ name, values, maxError }) =>
        `${name}: ${values.map(({ value, count }) => `${value} (${count})`).join(', ') || 'no values'}` +
        (maxError > 0 ? `; counts may be too low by ${maxError}` : ''),
    ),
    ...(nextCursor === null ? [] : [`More with --cursor ${nextCursor}`]),
    `Generation ${answer.generation}, ${answer.model}; ${coverage.shardsAnswered} of ${coverage.shardsAsked} shards; ms: ${timings.join(', ')}`,
    ...(explanation === undefined ? [] : ['', describeExplanation(explanation)]),
  ].join('\n');
}

function describeExplanation({ numRounds, depth, candidates, shards }: SearchExplanation): string {
  const { found, leftOut } = candidates;
  const ms = (value: number | undefined): string | null => value?.toFixed(1) ?? null;
  return [
    table(
      ['SHARD', 'ROWS', 'INDEX', 'PLAN', 'LOOKED AT', 'HOST', 'REPLICA', 'ASKED', 'MS', 'IN INDEX'],
      shards.map((one) => [
        ...[one.shard, one.numRows ?? null, one.spec?.kind ?? null, one.failure ?? one.plan ?? null],
        ...[one.visited ?? null, one.host, one.replica],
        ...[one.isHedged === true ? `${one.numAsked}, hedged` : (one.numAsked ?? null), ms(one.ms), ms(one.searchMs)],
      ]),
    ),
    `${numRounds} ${numRounds === 1 ? 'round' : 'rounds'}, ${depth} hits asked of each shard; ${found} candidates, ${leftOut} left out`,
  ].join('\n');
}

function rowOf({ score, probability, id, category, title }: SearchHit): (string | null)[] {
  return [score.toFixed(4), probability?.toFixed(3) ?? null, id, category, title];
}
