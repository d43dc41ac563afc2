import type { Command } from 'commander';
import type { RejectedRow } from '../contracts/catalogue.ts';
import { isLookalikeError } from '../contracts/errors.ts';
import { openSource } from '../infra/import/source.ts';
import { getJson } from './api-client.ts';
import type { ApiTarget } from './api-client.ts';
import { ItemSender } from './item-sender.ts';
import { lineOf } from './item-line.ts';
import { CATALOGUE_OPTION, withApiOptions } from './options.ts';
import { formatNumber } from './progress.ts';
import { handles } from './run-command.ts';
import type { CommandContext } from './run-command.ts';
import { apiTarget } from './search.ts';

interface ItemOptions {
  catalogue: string;
  wait?: boolean;
  url?: string;
  key?: string;
}

interface ChangesStatus {
  seq: number;
  searchableSeq: number | null;
  numWaiting: number;
  numRows: number;
  generation: number | null;
}

/** `items put | delete | status`: changes of a catalogue that is being served, by the running API. */
export function addItemCommands(program: Command): void {
  const group = program.command('items').description('changes that searches see within seconds; by the running API');

  handles<ItemOptions>(
    withApiOptions(
      group
        .command('put <source>')
        .description(
          'make or replace items from a folder, a .csv, .jsonl or .parquet file, as `catalogue import` reads them',
        )
        .option('--wait', 'until searches see them')
        .option(...CATALOGUE_OPTION),
    ),
    async (context, options, source = '') => {
      const { rows, total, folder } = await openSource(source);
      const task = context.progress.task('put', 'rows');
      const sender = senderOf(context, options, (done) => task.update(done, total));
      const rejected: RejectedRow[] = [];
      for await (const row of rows) {
        const line = await lineOf(row, folder, context.signal);
        if ('reason' in line) rejected.push(line);
        else await sender.add(row.row, line.text);
      }
      const sent = await sender.finish();
      await report(context, options, {
        ...sent,
        rejected: [...rejected, ...sent.rejected].sort((a, b) => a.row - b.row),
      });
    },
  );

  handles<ItemOptions>(
    withApiOptions(
      group
        .command('delete <id...>')
        .description('delete items; no search finds them from then on')
        .option('--wait', 'until the index workers have dropped them too')
        .option(...CATALOGUE_OPTION),
    ),
    async (context, options, ...ids) => {
      const sender = senderOf(context, options, () => undefined);
      for (const [i, id] of ids.entries()) await sender.add(i + 1, JSON.stringify({ delete: id }));
      await report(context, options, await sender.finish());
    },
  );

  handles<ItemOptions>(
    withApiOptions(
      group
        .command('status')
        .description('how far acknowledged changes are searched')
        .option(...CATALOGUE_OPTION),
    ),
    async (context, options) => {
      const status = await statusOf(apiTarget(context, options), options.catalogue, context.signal);
      context.print({ catalogue: options.catalogue, ...status }, () => describeStatus(options.catalogue, status));
    },
  );
}

function senderOf(context: CommandContext, options: ItemOptions, onProgress: (done: number) => void): ItemSender {
  const { signal } = context;
  return new ItemSender({ target: apiTarget(context, options), catalogue: options.catalogue, signal, onProgress });
}

async function report(
  context: CommandContext,
  options: ItemOptions,
  sent: Awaited<ReturnType<ItemSender['finish']>>,
): Promise<void> {
  for (const { row, id, reason } of sent.rejected) {
    context.progress.line(`  row ${row}${id === null ? '' : ` (${id})`}: ${reason}`);
  }
  const status = options.wait === true ? await untilSearchable(context, options, sent.seq) : undefined;
  const { seq, rejected, ...counts } = sent;
  const words = Object.entries({ ...counts, rejected: rejected.length }).map(
    ([n, count]) => `${formatNumber(count)} ${n}`,
  );
  const searched = status === undefined ? '' : '; searched';
  context.print(
    { catalogue: options.catalogue, seq, ...counts, rejected },
    () => `${options.catalogue}: ${words.join(', ')}${searched}`,
  );
}

async function untilSearchable(context: CommandContext, options: ItemOptions, seq: number): Promise<ChangesStatus> {
  for (;;) {
    context.signal.throwIfAborted();
    try {
      const status = await statusOf(apiTarget(context, options), options.catalogue, context.signal);
      if (status.searchableSeq !== null && status.searchableSeq >= seq) return status;
    } catch (error) {
      // What was sent is safe: a part of the system that is away for a moment is waited for.
      if (!isLookalikeError(error) || !error.retryable) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function statusOf(target: ApiTarget, catalogue: string, signal: AbortSignal): Promise<ChangesStatus> {
  const path = `/v1/catalogues/${encodeURIComponent(catalogue)}/changes`;
  return (await getJson(target, path, signal)) as ChangesStatus;
}

function describeStatus(catalogue: string, status: ChangesStatus): string {
  const { seq, searchableSeq, numWaiting, numRows, generation } = status;
  if (searchableSeq === null) return `${catalogue}: change ${seq} is the newest; nothing serves yet.`;
  const behind = searchableSeq >= seq ? 'all searched' : `searched up to ${searchableSeq}`;
  return `${catalogue}: change ${seq} is the newest, ${behind}; ${numRows} changed items beside the index of generation ${generation}, ${numWaiting} wait for vectors.`;
}
