/**
 * The shard an item belongs to: FNV-1a over the id's UTF-8, finished with an avalanche so that ids that differ in their last
 * characters spread evenly. Stable for ever: builders and routers must agree.
 */
export function shardOf(itemId: string, numShards: number): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(itemId)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % numShards;
}

/** Order of ids everywhere: by code unit, the same on every machine whatever its locale. */
export function compareIds(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
