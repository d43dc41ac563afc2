import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { errorMessage } from '../contracts/errors.ts';
import { getText } from './api-client.ts';
import type { ApiTarget } from './api-client.ts';
import { LiveText } from './live-text.ts';
import { Between, parseMetrics } from './metrics-text.ts';
import type { Sample } from './metrics-text.ts';
import { amount, withApiOptions } from './options.ts';
import { handles } from './run-command.ts';
import { apiTarget } from './search.ts';
import { describeTop, topOf } from './top-view.ts';

interface TopOptions {
  every: number;
  once?: boolean;
  url?: string;
  key?: string;
}

interface Look {
  samples: Sample[];
  at: number;
}

/** `top`: what the API does right now, again and again, from its metrics. */
export function addTopCommand(program: Command): void {
  handles<TopOptions>(
    withApiOptions(
      program
        .command('top')
        .description('searches, times and recall of the running API, live; Ctrl-C ends it')
        .option('--every <seconds>', 'time between two looks', amount(0.1, 3600), 2)
        .option('--once', 'one look, then end; also with --json'),
    ),
    async (context, options) => {
      const { signal } = context;
      const target = apiTarget(context, options);
      const isOnce = options.once === true || context.json || !process.stdout.isTTY;
      const live = new LiveText(process.stdout);
      let before = await look(target, signal);
      try {
        for (;;) {
          await sleep(options.every * 1000, undefined, { signal });
          const now = await look(target, signal).catch((error: unknown) => {
            if (isOnce || signal.aborted) throw error;
            live.show(errorMessage(error));
          });
          if (now === undefined) continue;
          const top = topOf(new Between(before.samples, now.samples, (now.at - before.at) / 1000));
          if (isOnce) return context.print(top, () => describeTop(top));
          live.show(`${target.url}\n\n${describeTop(top)}`);
          before = now;
        }
      } catch (error) {
        // Ctrl-C is how this ends; the last look stays.
        if (!signal.aborted || isOnce) throw error;
      }
    },
  );
}

async function look(target: ApiTarget, signal: AbortSignal): Promise<Look> {
  return { samples: parseMetrics(await getText(target, '/metrics', signal)), at: performance.now() };
}
