/**
 * A listing in which each checkpoint can be asked for its parent, without holding the listing.
 *
 * In a plain run the parent comes next. Where branches or namespaces are interleaved it comes a few
 * later; one further away is read by its id rather than waited for.
 */

import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { addressOf, parentIdOf } from "./address.ts";
import type { AnySaver } from "./source.ts";
import type { State, StateReader } from "./state.ts";

/** How many checkpoints are held at most beside the one in hand. */
const WINDOW = 8;

/** A checkpoint whose state is worked out once, when first needed. */
export class Entry {
  readonly tuple: CheckpointTuple;
  readonly #reader: StateReader;
  #state: Promise<State> | undefined;

  constructor(tuple: CheckpointTuple, reader: StateReader) {
    this.tuple = tuple;
    this.#reader = reader;
  }

  state(): Promise<State> {
    this.#state ??= this.#reader.read(this.tuple);
    return this.#state;
  }
}

export class LookAhead {
  readonly #tuples: AsyncGenerator<CheckpointTuple>;
  readonly #saver: AnySaver;
  readonly #reader: StateReader;
  readonly #window: Entry[] = [];

  constructor(tuples: AsyncGenerator<CheckpointTuple>, saver: AnySaver, reader: StateReader) {
    this.#tuples = tuples;
    this.#saver = saver;
    this.#reader = reader;
  }

  async next(): Promise<Entry | undefined> {
    return this.#window.shift() ?? (await this.#pull());
  }

  /** Undefined for a root, and for a parent that was pruned. */
  async parentOf(entry: Entry): Promise<Entry | undefined> {
    const { parentConfig } = entry.tuple;
    const parentId = parentIdOf(entry.tuple);
    if (parentConfig === undefined || parentId === undefined) return undefined;
    const { namespace } = addressOf(entry.tuple);
    const isParent = ({ tuple }: Entry): boolean => {
      const at = addressOf(tuple);
      return at.checkpointId === parentId && at.namespace === namespace;
    };
    const held = this.#window.find(isParent);
    if (held !== undefined) return held;
    while (this.#window.length < WINDOW) {
      const pulled = await this.#pull();
      if (pulled === undefined) break;
      this.#window.push(pulled);
      if (isParent(pulled)) return pulled;
    }
    const tuple = await this.#saver.getTuple(parentConfig);
    return tuple === undefined ? undefined : new Entry(tuple, this.#reader);
  }

  /** Lets the saver release what it holds for the listing. */
  async end(): Promise<void> {
    await this.#tuples.return(undefined);
  }

  async #pull(): Promise<Entry | undefined> {
    const { value, done } = await this.#tuples.next();
    return done === true ? undefined : new Entry(value, this.#reader);
  }
}
