/**
 * The augmentation seeds of a picture's views: null (plain) first, then one per further view. They come from the picture's
 * own hash, so its views are the same in every run and independent of its neighbours.
 *
 * @param sha256 lower-case hex
 */
export function viewSeeds(sha256: string, views: number): (number | null)[] {
  const start = Number.parseInt(sha256.slice(0, 8), 16);
  // An odd step visits all 2^32 seeds before it repeats one.
  return Array.from({ length: views }, (_, view) => (view === 0 ? null : (start + Math.imul(view, 0x9e3779b9)) >>> 0));
}
