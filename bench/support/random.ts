/**
 * Seeded random text: every run of the bench stores the same content, and content that no database
 * can compress away, so that bytes on disk can be held against bytes of content.
 */

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** Numbers in [0, 2^32), the same for the same seed (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

/** `length` random characters, one byte each. */
export function randomText(seed: number, length: number): string {
  const next = numbers(Math.imul(seed, 0x9e3779b1) ^ length);
  let text = "";
  for (let at = 0; at < length; at++) text += LETTERS[next() & 63];
  return text;
}

/** A random integer in [0, below). */
export function randomIndex(seed: number, below: number): number {
  return numbers(Math.imul(seed, 0x85ebca6b))() % below;
}
