export { buildShard } from './build-shard.ts';
export type { BuildShardInput } from './build-shard.ts';
export { chooseIndexSpec } from './choose-index.ts';
export type { ChooseIndexInput } from './choose-index.ts';
export { loadShard } from './load-shard.ts';
export { publishIndex } from './publish-index.ts';
export type { IndexSummary, PublishIndexInput } from './publish-index.ts';
export type { Shard, ShardQuery } from './shard.ts';
