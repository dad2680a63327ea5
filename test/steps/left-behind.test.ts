/** When a durable node's body is left alone because nothing is new for it, and when it is not. */

import { Annotation, END, START, StateGraph, isInterrupted } from "@langchain/langgraph";
import { describe, expect, test } from "vitest";
import { approval } from "../../src/steps/approval.ts";
import { durable } from "../../src/steps/durable.ts";
import { approvals } from "../../src/steps/inbox.ts";
import { syncRun } from "../support/small-graphs.ts";
import { SAVERS } from "./savers.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

describe.each(SAVERS.filter(([name]) => name !== "memory"))("an approval over %s", (_, open) => {
  async function asking(request: Partial<Parameters<typeof approval>[0]> = {}) {
    const opened = await open();
    let calls = 0;
    const graph = new StateGraph(State)
      .addNode({
        ask: durable(async () => {
          calls += 1;
          const { decision } = await approval({ title: "Go?", payload: 1, ...request });
          return { log: [decision] };
        }),
      })
      .addEdge(START, "ask")
      .addEdge("ask", END)
      .compile({ checkpointer: opened.saver });
    await graph.invoke({}, syncRun("t"));
    return { ...opened, graph, calls: () => calls };
  }

  test("that nobody has answered runs no body; one that is answered in its table does", async () => {
    const { graph, saver, calls } = await asking();
    expect(isInterrupted(await graph.invoke(null, syncRun("t")))).toBe(true);
    expect(calls()).toBe(1);
    const [question] = await approvals(saver).list();
    await approvals(saver).approve(question?.id ?? "", { by: "ann" });
    expect(await graph.invoke(null, syncRun("t"))).toEqual({ log: ["approved"] });
  });

  test("whose time is over runs the body", async () => {
    const { graph, clock } = await asking({ deadline: 60_000, onTimeout: "approve" });
    await clock.advance(60_000);
    expect(await graph.invoke(null, syncRun("t"))).toEqual({ log: ["approved"] });
  });
});
