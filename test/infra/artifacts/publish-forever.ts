import { createArtifactStore } from '../../../infra/artifacts/artifact-store.ts';
import { openFolderObjectStore } from '../../../infra/artifacts/folder-object-store.ts';

/** Publishes artefact after artefact until it is killed; prints a dot before each. */
const [root = '', round = ''] = process.argv.slice(2);
const store = createArtifactStore(await openFolderObjectStore(root));
for (let n = 0; ; n++) {
  process.stdout.write('.');
  await store.publish({
    kind: 'shard',
    inputs: {},
    config: { round, n },
    seed: null,
    summary: {},
    metrics: {},
    files: { big: { bytes: Buffer.alloc(400_000, `${round}/${n}`) }, small: { bytes: Buffer.from(`${round}/${n}`) } },
  });
}
