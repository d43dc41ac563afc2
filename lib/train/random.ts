/**
 * Random numbers that are a pure function of a key, so that a resumed run draws what the uninterrupted one would: nothing but
 * (seed, purpose, step) need be known. Mulberry32 seeded by an FNV-1a hash of the key.
 */
export function randomOf(...key: (string | number)[]): () => number {
  let state = 0x811c9dc5;
  for (const character of key.join('/')) state = Math.imul(state ^ character.charCodeAt(0), 0x01000193);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** `count` standard normal values (Box-Muller). */
export function normals(count: number, random: () => number): Float32Array {
  const out = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    out[i] = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  }
  return out;
}

/** `count` distinct integers of 0..size-1, in random order (partial Fisher-Yates). */
export function sampleDistinct(count: number, size: number, random: () => number): number[] {
  const moved = new Map<number, number>();
  return Array.from({ length: Math.min(count, size) }, (_, i) => {
    const j = i + Math.floor(random() * (size - i));
    const picked = moved.get(j) ?? j;
    moved.set(j, moved.get(i) ?? i);
    return picked;
  });
}
