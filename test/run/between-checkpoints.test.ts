import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import type { CheckpointPendingWrite, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { describe, expect, test } from "vitest";
import { runToEnd } from "../../src/run/run-to-end.ts";
import { PLACES } from "../support/places.ts";
import { onThread, syncRun } from "../support/small-graphs.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

describe.each(PLACES)(
  "a thread whose process died between two checkpoints, on %s",
  (_, newPlace) => {
    // All tasks of the last checkpoint have their results beside it; the next one was never stored.
    test.each([0, 1, 2])("goes on from its checkpoint %s, and nobody is asked", async (step) => {
      const saver = (await newPlace()).open();
      const ran: string[] = [];
      const node = (name: string) => () => {
        ran.push(name);
        return { log: [name] };
      };
      const graph = new StateGraph(State)
        .addNode("a", node("a"))
        .addNode("b", node("b"))
        .addEdge(START, "a")
        .addEdge("a", "b")
        .addEdge("b", END)
        .compile({ checkpointer: saver });
      await graph.invoke({ log: ["input"] }, syncRun("whole"));
      const whole = (await Array.fromAsync(saver.list(onThread("whole")))).toReversed();
      for (const tuple of whole.slice(0, step + 1)) {
        const isLast = tuple === whole[step];
        await store(tuple, isLast ? (tuple.pendingWrites ?? []) : []);
      }
      ran.length = 0;

      const outcome = await runToEnd(graph, null, onThread("cut"));
      expect(outcome).toMatchObject({ status: "completed", values: { log: ["input", "a", "b"] } });
      expect(ran).toEqual(["a", "b"].slice(step));

      async function store(
        tuple: CheckpointTuple,
        writes: CheckpointPendingWrite[],
      ): Promise<void> {
        const parentId = tuple.parentConfig?.configurable?.["checkpoint_id"] as string | undefined;
        const place = { thread_id: "cut", checkpoint_ns: "" };
        const stored = await saver.put(
          {
            configurable: { ...place, ...(parentId !== undefined && { checkpoint_id: parentId }) },
          },
          tuple.checkpoint,
          tuple.metadata ?? { source: "loop", step, parents: {} },
          tuple.checkpoint.channel_versions,
        );
        // As they were stored: those of a task together.
        for (const [task, own] of Map.groupBy(writes, ([id]) => id)) {
          const results = own.map(([, channel, value]): [string, unknown] => [channel, value]);
          await saver.putWrites(stored, results, task);
        }
      }
    });
  },
);
