/**
 * The latest checkpoint of a thread's graph, as a worker that runs it knows it without asking: nobody else
 * writes to a leased thread (unless it is let to, `unleasedWrites: "allow"`; then no tip is kept).
 *
 * States: none -> unknown, with each lease that a worker takes -> empty (there is no checkpoint) | read (which
 * one it is, not what is in it) -> put (the one that this saver put last), and back to read with each write
 * of a task, which is not followed here.
 *
 * Invariants
 *   T1  It is told only to whom has that lease. Had it been lost since, all that follows is refused.
 *   T2  Every put and write of this saver is told here. What does not go on from the tip makes it unknown.
 */

import type { CheckpointRow, FoundCheckpoint } from "./dialect.ts";

/** A checkpoint of this saver's. */
interface Put {
  readonly place: Pick<CheckpointRow, "id" | "parent">;
  readonly leaseToken: number | undefined;
  /** What a read finds once it is stored; undefined where its thread was forgotten since. */
  found(): FoundCheckpoint | undefined;
}

type Known = "nothing" | "empty" | { id: Uint8Array; put: Put | undefined };

export class Tip {
  #token: number | undefined;
  #known: Known = "nothing";

  /** A worker has taken the thread. */
  begin(token: number): void {
    this.#token = token;
    this.#known = "nothing";
  }

  /** It was read under this lease. @param id undefined where there is none */
  read(token: number | undefined, id: Uint8Array | undefined): void {
    if (this.#token === undefined || token !== this.#token) return;
    this.#known = id === undefined ? "empty" : { id, put: undefined };
  }

  /** A checkpoint of the graph itself is about to be stored. */
  put(operation: Put): void {
    if (this.#token === undefined) return;
    const { id, parent } = operation.place;
    const isNext = operation.leaseToken === this.#token && this.#isBefore(id, parent);
    this.#known = isNext ? { id, put: operation } : "nothing";
  }

  #isBefore(id: Uint8Array, parent: Uint8Array | null): boolean {
    if (this.#known === "nothing") return false;
    if (this.#known === "empty") return parent === null;
    const before = this.#known.id;
    return (
      parent !== null && Buffer.compare(parent, before) === 0 && Buffer.compare(id, before) > 0
    );
  }

  /** A task's writes are about to be stored; perhaps before their checkpoint is, which is known less then. */
  wrote(id: Uint8Array): void {
    if (typeof this.#known === "object" && Buffer.compare(this.#known.id, id) === 0) {
      this.#known.put = undefined;
    } else this.#known = "nothing";
  }

  forget(): void {
    this.#token = undefined;
    this.#known = "nothing";
  }

  /**
   * What a read of the latest checkpoint finds, once all that was put is durable.
   * @returns undefined where it must be read
   */
  found(token: number | undefined): { found: FoundCheckpoint | undefined } | undefined {
    if (this.#token === undefined || token !== this.#token) return undefined;
    if (this.#known === "empty") return { found: undefined };
    if (this.#known === "nothing") return undefined;
    const found = this.#known.put?.found();
    return found && { found };
  }
}
