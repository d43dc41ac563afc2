import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { beforeAll, describe, expect, it } from 'vitest';
import { WORKFLOWS } from '../../contracts/workflows.ts';
import { dataConverter } from '../../infra/temporal/data-converter.ts';
import { bundled, quietRuntime } from '../support/temporal-env.ts';

const folder = join(import.meta.dirname, 'histories');
const names = readdirSync(folder).sort();
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

function replay(history: string): Promise<void> {
  const record = JSON.parse(history) as { workflowId: string; history: unknown };
  return Worker.runReplayHistory({ ...bundled(), dataConverter }, record.history, record.workflowId);
}

beforeAll(quietRuntime);

describe('stored histories', () => {
  it('cover every workflow type, and runs that were cancelled, failed, and continued as new', () => {
    const all = names.map(read);
    for (const type of Object.values(WORKFLOWS)) {
      expect(all.some((text) => new RegExp(`"workflowType": *\\{\\s*"name": *"${type}"`).test(text))).toBe(true);
    }
    for (const end of ['CANCELED', 'FAILED', 'CONTINUED_AS_NEW', 'COMPLETED']) {
      expect(all.some((text) => text.includes(`EVENT_TYPE_WORKFLOW_EXECUTION_${end}`))).toBe(true);
    }
  });

  it.each(names)('%s replays', async (name) => {
    await expect(replay(read(name))).resolves.toBeUndefined();
  });

  it('do not replay against a workflow that would have done something else', async () => {
    const mutated = read('train-child.json').replaceAll('"trainHead"', '"trainTail"');
    expect(mutated).toContain('trainTail');
    await expect(replay(mutated)).rejects.toBeInstanceOf(DeterminismViolationError);
  });

  it('do not replay against a workflow that would have started the parts of a training in another order', async () => {
    const mutated = read('train-spread.json')
      .replaceAll('"serveParameters"', '"swap"')
      .replaceAll('"trainReplica"', '"serveParameters"')
      .replaceAll('"swap"', '"trainReplica"');
    await expect(replay(mutated)).rejects.toBeInstanceOf(DeterminismViolationError);
  });

  it('do not replay against a workflow that would have taken its steps in another order', async () => {
    const mutated = read('features-child.json')
      .replaceAll('"planEmbedding"', '"swap"')
      .replaceAll('"assembleEmbeddings"', '"planEmbedding"')
      .replaceAll('"swap"', '"assembleEmbeddings"');
    await expect(replay(mutated)).rejects.toBeInstanceOf(DeterminismViolationError);
  });
});
