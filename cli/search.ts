import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { LookalikeError, errorMessage } from '../contracts/errors.ts';
import type { AttributeFilter } from '../contracts/filters.ts';
import type { SearchEffort } from '../contracts/ann.ts';
import { SEARCH_EFFORTS } from '../contracts/ann.ts';
import type { SearchAnswer } from '../contracts/serving.ts';
import { EFFORT_MEANINGS, EFFORT_NAMES, effortOf } from '../infra/shards/search-effort.ts';
import { runningState } from '../infra/supervisor/run-state.ts';
import { postJson } from './api-client.ts';
import type { ApiTarget } from './api-client.ts';
import { CATALOGUE_OPTION, collect, wholeNumber } from './options.ts';
import { handles } from './run-command.ts';
import type { CommandContext } from './run-command.ts';
import { table } from './table.ts';
import { collectWhere } from './where.ts';

interface SearchOptions extends SearchEffort {
  catalogue: string;
  image?: string;
  id?: string;
  vector?: string;
  moreLike?: string[];
  lessLike?: string[];
  k: number;
  category?: string;
  where?: AttributeFilter;
  minScore?: string;
  exact?: boolean;
  url?: string;
  key?: string;
}

/** `search`: asks the running API what looks like a picture, an item or a vector. */
export function addSearchCommand(program: Command): void {
  handles<SearchOptions>(
    withEffortOptions(
      program
        .command('search')
        .description('what looks like a picture, an item or a vector; asks the running API')
        .option(...CATALOGUE_OPTION)
        .option('--image <file>', 'a picture, or an http(s) URL that the API fetches')
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
        .option('--exact', 'compare with every vector, whatever the index kind'),
    )
      .option('--url <url>', 'address of the API (default: the running stack)')
      .option('--key <key>', 'API key (default: LOOKALIKE_API_KEY)'),
    async (context, options) => {
      const query = await readQuery(options);
      const { k, category, exact } = options;
      const minScore = options.minScore === undefined ? undefined : Number(options.minScore);
      if (Number.isNaN(minScore)) {
        throw new LookalikeError('invalidInput', `Expected --min-score as a number, got "${options.minScore}".`);
      }
      const path = `/v1/catalogues/${encodeURIComponent(options.catalogue)}/search`;
      const body = {
        ...query,
        moreLike: options.moreLike,
        lessLike: options.lessLike,
        k,
        category,
        filter: options.where,
        minScore,
        exact,
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
  const { image, id, vector } = options;
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
    if (/^https?:\/\//.test(image)) return { imageUrl: image };
    return { imageBase64: (await readNamed(image)).toString('base64') };
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
  const { coverage, timingsMs } = answer;
  const timings = Object.entries(timingsMs).map(([stage, ms]) => `${stage} ${ms.toFixed(1)}`);
  return [
    table(
      ['SCORE', 'ID', 'CATEGORY', 'TITLE'],
      answer.hits.map((hit) => [hit.score.toFixed(4), hit.id, hit.category, hit.title]),
    ),
    '',
    `Generation ${answer.generation}, ${answer.model}; ${coverage.shardsAnswered} of ${coverage.shardsAsked} shards; ms: ${timings.join(', ')}`,
  ].join('\n');
}
