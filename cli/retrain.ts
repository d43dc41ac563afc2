import { readFile } from 'node:fs/promises';
import { Option } from 'commander';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { LookalikeError, errorMessage } from '../contracts/errors.ts';
import type { RetrainConfig } from '../contracts/training.ts';
import type { RetrainOutput } from '../contracts/workflows.ts';
import { resolveRetrainConfig } from '../infra/recipes/resolve.ts';
import { startRetrain } from '../infra/temporal/retrain-client.ts';
import { workflowUrl } from '../infra/temporal/workflow-list.ts';
import { findTuning } from '../infra/tune/find-tuning.ts';
import { followRetrain } from './follow-retrain.ts';
import { localUser } from './generations.ts';
import { CATALOGUE_OPTION, collect } from './options.ts';
import { handles, withStores } from './run-command.ts';
import type { CommandContext } from './run-command.ts';
import { table } from './table.ts';
import { withTemporal } from './workflows.ts';

interface RetrainOptions {
  catalogue: string;
  recipe?: string;
  config?: string;
  set?: string[];
  fromTune?: string | true;
  force?: boolean;
  reason?: string;
  wait?: boolean;
}

/** `retrain`: starts the durable run that learns, embeds, indexes and switches; or joins the one under way. */
export function addRetrainCommand(program: Command): void {
  handles<RetrainOptions>(
    program
      .command('retrain')
      .description('learn from the catalogue as it is now, embed it, index it, and switch to the result')
      .option(...CATALOGUE_OPTION)
      .option('--recipe <name>', 'named settings to start from')
      .option('--config <file>', 'overrides from a .yaml or .json file')
      .option('--set <key=value>', 'one override, for example train.epochs=20; may be repeated', collect)
      .addOption(
        new Option(
          '--from-tune [search]',
          'start from the best of the newest search, or of a tuning artefact',
        ).conflicts(['recipe', 'config']),
      )
      .option('--force', 'serve the result even if the evaluation gate refuses it')
      .option('--reason <text>', 'recorded with the generation, for example why it is forced')
      .option('--wait', 'show the run until it ends; exit code 1 if it fails or is refused'),
    async (context, options) => {
      const file = options.config === undefined ? undefined : await readOverrides(options.config);
      const base =
        options.fromTune === undefined ? undefined : await bestOf(context, options.catalogue, options.fromTune);
      const config = resolveRetrainConfig({ recipe: options.recipe, base, file, set: options.set });
      await withTemporal(context, async (client) => {
        const order = { trigger: 'request', by: localUser(), reason: options.reason ?? null } as const;
        const input = { catalogue: options.catalogue, config, force: options.force === true, order };
        const run = await startRetrain(client, input);
        const url = workflowUrl(context.config, run.workflowId, run.runId);
        context.progress.line(`${run.started ? 'Started' : 'Joined the run under way:'} ${run.workflowId}  ${url}`);
        if (!options.wait) {
          context.print({ ...run, url }, () => `${run.workflowId} ${run.runId}`);
          return;
        }
        const output = await followRetrain({ client, ...run, progress: context.progress, signal: context.signal });
        context.print({ ...run, url, ...output }, () => describeOutcome(output));
        if (output.outcome === 'rejected') process.exitCode = 1;
      });
    },
  );
}

/** The configuration that a search recommends: retraining with it finds the model that the search trained, if nothing else changed. */
async function bestOf(context: CommandContext, catalogue: string, search: string | true): Promise<RetrainConfig> {
  const { tuning, best, outcome } = await withStores(context, ({ artifacts }) =>
    findTuning(artifacts, catalogue, search === true ? undefined : search),
  );
  const kept = outcome === 'cancelled' ? ', which was cancelled' : '';
  context.progress.line(
    `From search ${tuning}${kept}: trial ${best.trial}, validation recall@1 ${best.value.toFixed(4)}.`,
  );
  return best.config;
}

/** YAML holds JSON too. */
export async function readOverrides(path: string): Promise<unknown> {
  try {
    return parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new LookalikeError('invalidInput', `Expected YAML or JSON in ${path}: ${errorMessage(error)}`);
  }
}

/** What came of a run: which generation serves, and how good each model is on the same held-out queries. */
export function describeOutcome(output: RetrainOutput): string {
  const { outcome, generation, model, reasons, untrained } = output;
  const lines = output.quality.candidate.numQueries > 0 ? [qualityTable(output.quality), ''] : [];
  if (outcome === 'rejected') lines.push(`Generation ${generation} was refused: ${reasons.join(' ')}`);
  else {
    lines.push(`Generation ${generation} serves: ${model}`);
    if (untrained !== undefined) lines.push(`Its model is the untrained one. ${untrained}`);
    lines.push(...reasons);
  }
  if (output.reused.length > 0) lines.push(`Reused what was there: ${output.reused.join(', ')}.`);
  return lines.join('\n');
}

function qualityTable({ candidate, pretrained, serving }: RetrainOutput['quality']): string {
  const ks = Object.keys(candidate.recall).sort((a, b) => Number(a) - Number(b));
  const rows = [
    { name: 'trained now', quality: candidate },
    ...(serving === null ? [] : [{ name: 'served before', quality: serving }]),
    { name: 'untrained', quality: pretrained },
  ].map(({ name, quality }) => [
    name,
    ...ks.map((k) => (quality.recall[k] ?? 0).toFixed(3)),
    quality.mAP?.toFixed(3) ?? '-',
    String(quality.numQueries),
  ]);
  return table(['MODEL', ...ks.map((k) => `recall@${k}`), 'mAP', 'QUERIES'], rows);
}
