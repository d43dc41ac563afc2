/** A process that trains and never ends by itself first: the test kills it and looks for what it leaves behind. */
import { readFileSync } from 'node:fs';
import { runTraining } from '../../../infra/training/run-training.ts';
import type { Config } from '../../../infra/config/env.ts';
import type { TrainInput } from '../../../contracts/workflows.ts';

const { config, input } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as { config: Config; input: TrainInput };
await runTraining({ config, input, onProgress: ({ step }) => process.stdout.write(`${step}\n`) });
