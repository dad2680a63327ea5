/**
 * Names the branch of each checkpoint of one namespace, told newest first.
 *
 * "main" is the line that ends in the head. Every other line is named after the checkpoint that it
 * ends in. A checkpoint that several lines go through belongs to the one nearest to main. What is
 * kept is a name for each parent that is still to come, so memory grows with the branches only.
 */

export const MAIN = "main";

/** Enough of a uuid6 to tell it from all others of more than half a millisecond away. */
const SHORT_ID = 13;

interface Branch {
  name: string;
  /** Main is 0; the newer its end, the nearer. */
  rank: number;
}

export class BranchNames {
  readonly #expected = new Map<string, Branch>();
  readonly #names = new Set<string>();

  /** The branch of the next older checkpoint. */
  next(checkpointId: string, parentId: string | undefined): string {
    const branch = this.#expected.get(checkpointId) ?? this.#begin(checkpointId);
    this.#expected.delete(checkpointId);
    if (parentId !== undefined) {
      const claimed = this.#expected.get(parentId);
      if (claimed === undefined || branch.rank < claimed.rank) this.#expected.set(parentId, branch);
    }
    return branch.name;
  }

  #begin(leaf: string): Branch {
    const rank = this.#names.size;
    const short = rank === 0 ? MAIN : leaf.slice(0, SHORT_ID);
    const name = this.#names.has(short) ? leaf : short;
    this.#names.add(name);
    return { name, rank };
  }
}
