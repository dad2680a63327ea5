/** Deterministic pseudo-randomness for nodes: pure functions of a seed, so that a re-run repeats. */

/** FNV-1a over UTF-16 units. */
export function hash(...parts: (string | number)[]): number {
  let h = 0x811c9dc5;
  for (const part of parts) {
    const text = `${part};`;
    for (let i = 0; i < text.length; i += 1) {
      h ^= text.charCodeAt(i);
      h = Math.imul(h, 0x01000193);
    }
  }
  return h >>> 0;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789éüß漢😀\n"\\';

/** Text of that length, the same for the same seed. */
export function text(seed: number, length: number): string {
  let state = seed | 1;
  let out = "";
  while (out.length < length) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    out += LETTERS[state % LETTERS.length];
  }
  return out.slice(0, length).toWellFormed();
}

/** The element that a number stands for. */
export function pick<T>(list: readonly T[], at: number): T {
  if (list.length === 0) throw new Error("Nothing to pick from.");
  return list[at % list.length] as T;
}
