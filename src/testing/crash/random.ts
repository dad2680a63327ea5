/** Draws that a seed repeats. */

/** @returns draws an integer from 0 to below `limit` (mulberry32) */
export function random(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

/** So many of these, without repetition, in their order. */
export function sample<T>(all: readonly T[], count: number, seed: number): T[] {
  const draw = random(seed);
  const left = all.map((_, index) => index);
  const chosen = new Set<number>();
  while (chosen.size < count && left.length > 0)
    chosen.add(left.splice(draw(left.length), 1)[0] as number);
  return all.filter((_, index) => chosen.has(index));
}
