/** Whether what a node's task leaves in the database is found again after a crash. */

import type { NodeContext } from "../context.ts";
import type { EventStore } from "../event-store.ts";

/** Why it is not; undefined where it is. */
export async function whyUnkept(node: NodeContext, store: EventStore): Promise<string | undefined> {
  return whyUnstable(node) ?? ((await store.isKept(node.task)) ? undefined : UNSTORED);
}

const UNSTORED = "the checkpoint that its node runs from is not stored";

/** As far as that is known without asking. */
export function whyUnstable({ durability, config, node }: NodeContext): string | undefined {
  if (durability === "exit") return 'durability "exit" stores nothing in between';
  const { langgraph_triggers: triggers, langgraph_path: path } = config.metadata ?? {};
  const isBody = node !== "__start__" && Array.isArray(triggers) && triggers.includes("__start__");
  const isCall = Array.isArray(path) && path.at(-1) === true;
  return isBody || isCall ? "it is the functional API's" : undefined;
}
