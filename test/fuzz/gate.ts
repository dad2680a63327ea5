/**
 * One invocation's traffic, and the failure planned for it.
 *
 * A failing task aborts its siblings wherever they are, so how far a sibling subgraph got would
 * depend on the speed of the saver. So a task that is to fail waits until nothing else moves: no
 * node runs and no saver call is under way. Of several, one fails and the others go on.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import type { Fault } from "./case.ts";
import type { State } from "./loose.ts";

/** So many turns of the event loop without traffic count as rest. */
const QUIET_TURNS = 4;

interface Waiting {
  key: string;
  release: (fail: boolean) => void;
}

export class Gate {
  readonly fault: Fault | null;
  #running = 0;
  #saving = 0;
  #waiting: Waiting[] = [];
  #failed = false;

  constructor(fault: Fault | null) {
    this.fault = fault;
  }

  /** Runs a node's body. */
  async node<T>(body: () => Promise<T>): Promise<T> {
    this.#running += 1;
    try {
      return await body();
    } finally {
      this.#running -= 1;
    }
  }

  /** Runs a subgraph within a node's body: the node does nothing meanwhile. */
  async inner<T>(body: () => Promise<T>): Promise<T> {
    this.#running -= 1;
    try {
      return await body();
    } finally {
      this.#running += 1;
    }
  }

  /** Counts a saver's call until it has settled. */
  saving<T>(call: Promise<T>): Promise<T> {
    this.#saving += 1;
    const done = (): void => void (this.#saving -= 1);
    call.then(done, done);
    return call;
  }

  /**
   * Throws the planned failure if this is the task to fail.
   * @param key tells the task from others that could fail now; the same in every run
   */
  async maybeFail(where: Fault["where"], node: number, key: string): Promise<void> {
    if (this.#failed || this.fault?.where !== where || this.fault.node !== node) return;
    const fail = await new Promise<boolean>((release) => {
      this.#waiting.push({ key, release });
      if (this.#waiting.length === 1) void this.#releaseAtRest();
    });
    if (fail) throw new Error(`planned failure of ${key}`);
  }

  async #releaseAtRest(): Promise<void> {
    let quiet = 0;
    while (quiet < QUIET_TURNS) {
      await new Promise((resolve) => setImmediate(resolve));
      quiet = this.#running === this.#waiting.length && this.#saving === 0 ? quiet + 1 : 0;
    }
    const waiting = this.#waiting.sort((a, b) => (a.key < b.key ? -1 : 1));
    this.#waiting = [];
    if (waiting.length === 1) this.#failed = true;
    for (const [i, { release }] of waiting.entries()) {
      if (i > 0 || this.#failed) release(this.#failed);
    }
    const [first] = waiting;
    if (first === undefined || this.#failed) return;
    this.#waiting.unshift(first);
    await this.#releaseAtRest();
  }
}

/**
 * Tells a task from others that could fail now; the same in every run. Several tasks of a node may see the
 * same state, and differ by their paths alone.
 */
export function taskKey(
  name: string,
  state: State,
  config: RunnableConfig | undefined,
  digest: number,
): string {
  const path: unknown = config?.metadata?.["langgraph_path"];
  return `${name}/${JSON.stringify([state["fan"], path, digest])}`;
}
