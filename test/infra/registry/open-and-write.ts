import { openRegistry } from '../../../infra/registry/registry.ts';

/** One of several processes that start at once: opens, writes ten items one by one and takes a generation. */
const [dataDir = '', databaseUrl = '', name = ''] = process.argv.slice(2);
const shape = (): Promise<{ dim: number; numShards: number }> => Promise.resolve({ dim: 1, numShards: 1 });
const registry = await openRegistry({ dataDir, databaseUrl: databaseUrl || null }, shape);
for (let i = 0; i < 10; i++) {
  const row = { image: 'x', category: null, label: null, title: null, attributes: {} };
  await registry.catalogue.upsertItems('c', [{ id: `${name}/${i}`, ...row }]);
}
await registry.generations.create({ catalogue: 'c', snapshot: 's', workflowId: 'w', workflowRunId: name });
await registry.close();
