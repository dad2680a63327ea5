/** Watches a saver: which checkpoints each operation stored, in order, and what is under way. */

import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";
import { Gate } from "./gate.ts";

/** The key in `configurable` that names the operation; LangGraph passes it to every saver call. */
export const OP_KEY = "fuzz_op";

/**
 * The step of a checkpoint that only delta channels need: under "exit" durability, what a thread's
 * first writes are hung on. The oracle has none.
 */
export const STUB_STEP = -2;

export interface Put {
  op: string;
  thread: string;
  ns: string;
  id: string;
  source: string;
}

export class Recorder {
  readonly puts: Put[] = [];
  /** The operation that runs now, for calls of LangGraph's that don't carry its name. */
  current = "";
  readonly #seen = new Set<string>();
  readonly #gates = new Map<string, Gate>();

  gate(config: RunnableConfig | undefined): Gate {
    const op = String(config?.configurable?.[OP_KEY] ?? "");
    let gate = this.#gates.get(op);
    if (gate === undefined) this.#gates.set(op, (gate = new Gate(null)));
    return gate;
  }

  plan(op: string, gate: Gate): void {
    this.#gates.set(op, gate);
  }

  /** Wraps the methods of this saver that an invocation calls. */
  watch(saver: BaseCheckpointSaver): void {
    const put = saver.put.bind(saver);
    const putWrites = saver.putWrites.bind(saver);
    const getTuple = saver.getTuple.bind(saver);
    const getDeltaChannelHistory = saver.getDeltaChannelHistory.bind(saver);
    const list = saver.list.bind(saver);
    saver.put = (config, checkpoint, metadata, newVersions) => {
      if (metadata.step !== STUB_STEP)
        this.#note({
          op: String(config.configurable?.[OP_KEY] ?? this.current),
          thread: String(config.configurable?.["thread_id"]),
          ns: String(config.configurable?.["checkpoint_ns"] ?? ""),
          id: checkpoint.id,
          source: metadata.source,
        });
      return this.gate(config).saving(put(config, checkpoint, metadata, newVersions));
    };
    saver.putWrites = (config, writes, taskId) =>
      this.gate(config).saving(putWrites(config, writes, taskId));
    saver.getTuple = (config) => this.gate(config).saving(getTuple(config));
    saver.getDeltaChannelHistory = (options) =>
      this.gate(options.config).saving(getDeltaChannelHistory(options));
    saver.list = (config, options) => eachSaved(this.gate(config), list(config, options));
  }

  #note(put: Put): void {
    const key = JSON.stringify([put.thread, put.ns, put.id]);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.puts.push(put);
  }
}

/** What a saver lists, where waiting for each counts as one of its calls. */
async function* eachSaved<T>(gate: Gate, listed: AsyncGenerator<T>): AsyncGenerator<T> {
  try {
    for (;;) {
      const next = await gate.saving(listed.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await listed.return(undefined);
  }
}
