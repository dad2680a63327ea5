/**
 * When a version is stored whole, and when as a delta.
 *
 * A chain is a keyframe and the deltas on it. Its deltas, with a fixed charge for each row, never
 * outweigh the keyframe. So storage stays within a small constant of the distinct content (keyframes
 * grow at least as fast as what they repeat), and reading a value never costs more than about twice
 * its size.
 */

/** What a delta's row costs beside its data, in bytes. */
const ROW_CHARGE = 48;

/** Chains are read by one recursive query; this bounds it whatever the sizes. */
const MAX_CHAIN = 2_000;

/** Smaller keyframes are not worth a chain. */
const MIN_KEYFRAME = 160;

/** What a row weighs: what its text takes on disk, and what reading it takes with its payloads. */
export interface Weight {
  text: number;
  read: number;
}

/** What is known of the chain that ends in a version. */
export interface Chain {
  /** Rows, the keyframe included. */
  length: number;
  keyframe: Weight;
  /** Of all deltas together. */
  deltas: Weight;
}

export function keyframe(weight: Weight): Chain {
  return { length: 1, keyframe: weight, deltas: { text: 0, read: 0 } };
}

/** The chain with one more delta; undefined where a keyframe is due. */
export function extend(chain: Chain, delta: Weight): Chain | undefined {
  if (chain.keyframe.read < MIN_KEYFRAME || chain.length >= MAX_CHAIN) return undefined;
  const text = chain.deltas.text + delta.text + ROW_CHARGE;
  const read = chain.deltas.read + delta.read + ROW_CHARGE;
  if (read > chain.keyframe.read) return undefined;
  return { length: chain.length + 1, keyframe: chain.keyframe, deltas: { text, read } };
}
