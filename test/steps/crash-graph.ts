/** A graph whose one node is left in the middle by a kill: built alike in the test and in its child. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { currentAttempt } from "../../src/context.ts";
import { durable } from "../../src/steps/durable.ts";

export const CrashState = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

/** @param body gets the attempt's number; what it returns is logged */
export function crashGraph(
  saver: BaseCheckpointSaver,
  body: (attempt: number) => Promise<string> | string,
) {
  const once = durable.for(CrashState)(
    async () => {
      const attempt = currentAttempt()?.attempt ?? 0;
      return { log: [`attempt ${attempt}: ${await body(attempt)}`] };
    },
    { retry: { initialInterval: 600_000, maxInterval: 600_000, jitter: "none" } },
  );
  return new StateGraph(CrashState)
    .addNode("before", () => ({ log: ["before"] }))
    .addNode("work", once)
    .addEdge(START, "before")
    .addEdge("before", "work")
    .addEdge("work", END)
    .compile({ checkpointer: saver });
}
