import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addAdviseCommand } from './advise.ts';
import { addArtifactCommands } from './artifacts.ts';
import { addBenchCommand } from './bench.ts';
import { addCatalogueCommands } from './catalogue.ts';
import { addDemoCommand } from './demo.ts';
import { addDoctorCommand } from './doctor.ts';
import { addEmbedCommand } from './embed.ts';
import { addEvalCommand } from './eval.ts';
import { addGenerationCommands } from './generations.ts';
import { addItemCommands } from './items.ts';
import { addKeyCommands } from './keys.ts';
import { addModelCommands } from './models.ts';
import { addRetrainCommand } from './retrain.ts';
import { addScheduleCommands } from './schedules.ts';
import { addSearchCommand } from './search.ts';
import { addSimilarCommands } from './similar.ts';
import { addDownCommand, addStatusCommand } from './status.ts';
import { addTopCommand } from './top.ts';
import { addTuneCommand } from './tune.ts';
import { addUpCommand } from './up.ts';
import { addWorkflowCommands } from './workflows.ts';

/** Wrong usage, as opposed to work that failed. */
const USAGE_EXIT_CODE = 2;

const packageJson = new URL(
  import.meta.url.endsWith('.ts') ? '../package.json' : '../../package.json',
  import.meta.url,
);
const { version } = JSON.parse(readFileSync(packageJson, 'utf8')) as { version: string };

const program = new Command('lookalike')
  .description('Finds catalogue items that look alike, and keeps model, embeddings and index fresh.')
  .version(version)
  .showHelpAfterError('Run `lookalike --help` to see all commands.')
  .exitOverride();

for (const add of [
  addDemoCommand,
  addUpCommand,
  addDownCommand,
  addStatusCommand,
  addTopCommand,
  addCatalogueCommands,
  addItemCommands,
  addRetrainCommand,
  addTuneCommand,
  addGenerationCommands,
  addScheduleCommands,
  addWorkflowCommands,
  addArtifactCommands,
  addSearchCommand,
  addSimilarCommands,
  addEmbedCommand,
  addEvalCommand,
  addModelCommands,
  addBenchCommand,
  addAdviseCommand,
  addDoctorCommand,
  addKeyCommands,
]) {
  add(program);
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  // Commander has printed the help or the error already.
  process.exitCode = error.exitCode === 0 ? 0 : USAGE_EXIT_CODE;
  if (error.exitCode !== 0 && process.argv.includes('--json')) {
    const message = error.message.replace(/^error: /, '');
    process.stdout.write(`${JSON.stringify({ error: { code: 'invalidInput', message, details: {} } })}\n`);
  }
}
