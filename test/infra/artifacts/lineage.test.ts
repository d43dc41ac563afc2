import { beforeEach, describe, expect, it } from 'vitest';
import { drawMermaid, drawTree } from '../../../cli/lineage-view.ts';
import type { ArtifactDraft, ArtifactKind } from '../../../contracts/artifacts.ts';
import { lineageOf, lineagesOf } from '../../../infra/artifacts/lineage.ts';
import type { Stores } from '../../../infra/stores.ts';
import { openTestStores } from './open-test-stores.ts';

const BLOB = `sha256:${'a'.repeat(64)}`;
const GONE = `model-${'0'.repeat(32)}`;
let stores: Stores;
beforeEach(async () => {
  stores = await openTestStores();
});

async function publish(kind: ArtifactKind, inputs: Record<string, string>, more: Partial<ArtifactDraft> = {}) {
  const draft = { kind, inputs, config: {}, seed: null, summary: {}, metrics: {}, files: {}, ...more };
  return (await stores.artifacts.publish(draft)).id;
}

describe('lineage', () => {
  it('leads down to the catalogue, each artefact once, with configuration, seed, code version and figures', async () => {
    const snapshot = await publish('snapshot', { items: BLOB });
    const metrics = { recallAt1: 0.51234, recall: { 1: 0.5, 10: 0.75 }, curve: [0.1, 0.2], table: { a: 'text' } };
    const model = await publish('model', { snapshot, backbone: GONE }, { config: { epochs: 3 }, seed: 7, metrics });
    const index = await publish('index', { model, snapshot });
    const tree = await lineageOf(stores.artifacts, index);
    expect(tree.inputs.map(({ role, id, state }) => ({ role, id, state }))).toEqual([
      { role: 'model', id: model, state: 'artifact' },
      { role: 'snapshot', id: snapshot, state: 'seen' },
    ]);
    const [made] = tree.inputs;
    expect(made!.made).toMatchObject({ kind: 'model', config: { epochs: 3 }, seed: 7 });
    expect(made!.made!.codeVersion).toMatch(/^\d+\.\d+\.\d+/);
    // Curves and tables stay in the manifest.
    expect(made!.made!.metrics).toEqual({ recallAt1: 0.51234, recall: { 1: 0.5, 10: 0.75 } });
    expect(made!.inputs.map(({ state }) => state).sort()).toEqual(['artifact', 'gone']);
    expect(made!.inputs.flatMap(({ inputs }) => inputs)).toMatchObject([{ id: BLOB, state: 'blob' }]);

    const drawn = drawTree(tree).join('\n');
    expect(drawn.split('\n')[0]).toBe(`artefact: ${index}`);
    expect(drawn).toMatch(new RegExp(`├─ model: ${model}`));
    expect(drawn).toMatch(/seed 7/);
    expect(drawn).toMatch(/config \{"epochs":3\}/);
    expect(drawn).toMatch(/recallAt1 0\.5123/);
    expect(drawn).toMatch(/recall @1 0\.5000 @10 0\.7500/);
    expect(drawn).toMatch(new RegExp(`${GONE} \\(deleted\\)`));
    expect(drawn).toMatch(new RegExp(`└─ snapshot: ${snapshot} \\(see above\\)`));

    const chart = drawMermaid(tree);
    expect(chart).toMatch(/^flowchart LR\n/);
    expect(chart.match(/^ {2}\S+\["/gm)).toHaveLength(5);
    expect(chart).toContain(`${model.replace('-', '_')} -- model --> ${index.replace('-', '_')}`);
  });

  it('of several roots draws what they share once, and says what is gone', async () => {
    const model = await publish('model', {});
    const found = await lineagesOf(stores.artifacts, [
      ['model', model],
      ['again', model],
      ['lost', GONE],
    ]);
    expect(found.map(({ role, state }) => [role, state])).toEqual([
      ...[
        ['model', 'artifact'],
        ['again', 'seen'],
      ],
      ['lost', 'gone'],
    ]);
    await expect(lineageOf(stores.artifacts, GONE)).rejects.toMatchObject({ code: 'notFound' });
  });
});
