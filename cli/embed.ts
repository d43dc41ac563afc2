import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { LookalikeError, errorMessage } from '../contracts/errors.ts';
import { resolveModel } from '../infra/evaluation/resolve-model.ts';
import { createEmbedder } from '../infra/inference/embedder.ts';
import { CATALOGUE_OPTION } from './options.ts';
import { handles, withStores } from './run-command.ts';
import { stackReporter } from './stack-events.ts';

/** How many numbers of a vector a person is shown. */
const SHOWN = 8;

/** `embed`: pictures to vectors with the serving, the untrained or a named model; needs no running stack. */
export function addEmbedCommand(program: Command): void {
  handles<{ catalogue: string; model: string }>(
    program
      .command('embed <image...>')
      .description('vectors of pictures; needs no running stack')
      .option(...CATALOGUE_OPTION)
      .option('--model <model>', 'current (what serves), pretrained, or the id of a model artefact', 'current'),
    async (context, { catalogue, model: named }, ...images) =>
      withStores(context, async (stores) => {
        const { config } = context;
        const report = stackReporter(context.progress);
        const model = await resolveModel({
          stores,
          config,
          model: named,
          catalogue,
          report: (event) => report({ type: 'provision', event }),
        });
        const embedder = createEmbedder({ config, stores });
        try {
          const bytes = await Promise.all(images.map(readPicture));
          const results = await embedder.embed(model, bytes, { priority: 'online', signal: context.signal });
          const embeddings = results.map((result, i) => {
            const image = images[i] ?? '';
            if ('rejected' in result) return { image, vector: null, rejected: result.rejected };
            return { image, vector: Array.from(result.vectors[0] ?? []), rejected: null };
          });
          context.print({ model, dim: embeddings.find((row) => row.vector)?.vector?.length ?? null, embeddings }, () =>
            embeddings.map(describeEmbedding).join('\n'),
          );
          if (embeddings.some((row) => row.rejected !== null)) process.exitCode = 1;
        } finally {
          await embedder.close();
        }
      }),
  );
}

async function readPicture(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new LookalikeError('notFound', `Expected a readable picture at ${path}: ${errorMessage(error)}.`);
  }
}

function describeEmbedding(row: { image: string; vector: number[] | null; rejected: string | null }): string {
  if (row.vector === null) return `${row.image}: ${row.rejected}`;
  const shown = row.vector.slice(0, SHOWN).map((x) => x.toFixed(4));
  return `${row.image}: [${shown.join(', ')}, …] (${row.vector.length} numbers; --json prints all)`;
}
