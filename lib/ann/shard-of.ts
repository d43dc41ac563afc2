/**
 * The shard an item belongs to, by a hash that spreads ids evenly which differ in their last characters. Stable for ever: builders
 * and routers must agree.
 */
export function shardOf(itemId: string, numShards: number): number {
  return hashOf(itemId) % numShards;
}

/** 32 bits of a text, spread evenly: FNV-1a over its UTF-8, finished with an avalanche. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Order of ids everywhere: by code unit, the same on every machine whatever its locale. */
export function compareIds(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
