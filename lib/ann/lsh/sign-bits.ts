/** u32 [count] of 0 or the sign bit, by the bits of xorshift32: the same for the same seed on every machine. */
export function signBits(count: number, seed: number): Uint32Array {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x6a09e667) | 1;
  return Uint32Array.from({ length: count }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    // The product mixes what a single bit of xorshift repeats.
    return Math.imul(state, 0x2c1b3c6d) & 0x80000000;
  });
}
