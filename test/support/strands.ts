/**
 * Chains side by side: `a1` `b1` `c1`, then `a2` `b2` `c2`, and so on; each node adds its name to
 * `log`. The `c`s take longer, so that the writes of their siblings reach the disk before theirs.
 */

import { Annotation, START, StateGraph } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

export const STRANDS = ["a", "b", "c"] as const;

export function strands(
  saver: BaseCheckpointSaver,
  length: number,
  onBegin: (node: string) => void = () => undefined,
) {
  const graph = new StateGraph(State) as unknown as StateGraph<
    (typeof State)["spec"],
    typeof State.State,
    Partial<typeof State.State>,
    string
  >;
  for (let step = 1; step <= length; step += 1) {
    for (const strand of STRANDS) {
      const name = `${strand}${step}`;
      graph.addNode(name, async () => {
        onBegin(name);
        for (let turns = strand === "c" ? 10 : 0; turns > 0; turns -= 1)
          await new Promise((resolve) => void setImmediate(resolve));
        return { log: [name] };
      });
      graph.addEdge(step === 1 ? START : `${strand}${step - 1}`, name);
    }
  }
  return graph.compile({ checkpointer: saver });
}

/** What `log` holds after so many supersteps. */
export function strandsLog(steps: number): string[] {
  return Array.from({ length: steps }, (_, i) =>
    STRANDS.map((strand) => `${strand}${i + 1}`),
  ).flat();
}
