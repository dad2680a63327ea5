/**
 * Names for ids. Checkpoint ids are random, task ids are derived from them and namespaces from
 * those, so two runs of a script share none. Each id gets a name that says how it came to be: the
 * operation that made it and its place among that operation's, the node and path of a task.
 */

import { uuid5 } from "@langchain/langgraph-checkpoint";
import type { StateSnapshot } from "@langchain/langgraph";
import { NULL_TASK_ID } from "./oracle.ts";
import type { Put } from "./recorder.ts";

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const HEX_32 = /\b[0-9a-f]{32}\b/g;

/** Ends the name of the task that `updateState` writes as. */
export const UPDATE_TASK = "#update";

/** The task in whose name `updateState` writes on a checkpoint. */
export function updateTaskOf(checkpointId: string): string {
  return uuid5("__interrupt__", checkpointId);
}

export interface LabelledPut extends Put {
  label: string;
  nsLabel: string;
}

export class Labels {
  /** Of one thread, every namespace, in an order that is the same in every run. */
  readonly puts: readonly LabelledPut[];
  readonly #ids: ReadonlyMap<string, string>;

  private constructor(puts: readonly LabelledPut[], ids: ReadonlyMap<string, string>) {
    this.puts = puts;
    this.#ids = ids;
  }

  /**
   * @param puts what the thread stored, in the order in which it happened
   * @param snapshots the states of one namespace: they name the tasks of each checkpoint
   */
  static async of(
    puts: readonly Put[],
    snapshots: (ns: string) => Promise<StateSnapshot[]>,
  ): Promise<Labels> {
    const ids = new Map<string, string>([[NULL_TASK_ID, "null"]]);
    const labelled: LabelledPut[] = [];
    const namespaces = [...new Set(puts.map(({ ns }) => ns))].sort((a, b) => depth(a) - depth(b));
    for (const ns of namespaces) {
      const nsLabel = renamed(ns, ids);
      const counts = new Map<string, number>();
      for (const put of puts) {
        if (put.ns !== ns) continue;
        const count = counts.get(put.op) ?? 0;
        counts.set(put.op, count + 1);
        const label = `${nsLabel}<${put.op}.${count}>`;
        labelled.push({ ...put, label, nsLabel });
        ids.set(put.id, label);
        ids.set(updateTaskOf(put.id), `${label}${UPDATE_TASK}`);
        ids.set(uuid5("__input__", put.id), `${label}#input`);
      }
      for (const snapshot of await snapshots(ns)) {
        const id = String(snapshot.config.configurable?.["checkpoint_id"]);
        for (const task of snapshot.tasks)
          ids.set(task.id, `${ids.get(id) ?? "?"}#${JSON.stringify(task.path)}`);
      }
    }
    return new Labels(labelled.sort(byLabel), ids);
  }

  rename = (text: string): string => renamed(text, this.#ids);

  of(id: unknown): string | null {
    return typeof id === "string" ? (this.#ids.get(id) ?? "?") : null;
  }
}

function renamed(text: string, ids: ReadonlyMap<string, string>): string {
  if (text.length < 32) return text;
  return text.replace(UUID, (id) => ids.get(id) ?? "<uuid>").replace(HEX_32, "<hex>");
}

function depth(ns: string): number {
  return ns === "" ? 0 : ns.split("|").length;
}

function byLabel(a: LabelledPut, b: LabelledPut): number {
  const key = ({ nsLabel, op, label }: LabelledPut): string =>
    `${nsLabel}\u0000${op.padStart(6, "0")}\u0000${label.slice(label.lastIndexOf(".")).padStart(8, "0")}`;
  return key(a) < key(b) ? -1 : 1;
}
