/** What becomes of tool calls: unknown outcomes, failures for good, crashes, and results of all kinds. */

import { HumanMessage, ToolMessage, type BaseMessage } from "@langchain/core/messages";
import { tool, type StructuredToolInterface } from "@langchain/core/tools";
import {
  Annotation,
  Command,
  END,
  MessagesAnnotation,
  START,
  StateGraph,
  interrupt,
} from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import { describe, expect, onTestFinished, test } from "vitest";
import { durableTool } from "../../src/steps/tool.ts";
import type { ToolPolicy } from "../../src/steps/tool/policy.ts";
import { failTimes, fakeWorld, type FakeWorld } from "../../src/testing/index.ts";
import { rejection } from "../policy/server.ts";
import { startChild } from "../support/child.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";
import { callsOf, forOrder, refundTool, toolsGraph } from "./tools-graph.ts";

async function newWorld(): Promise<FakeWorld> {
  const world = await fakeWorld();
  onTestFinished(() => world.close());
  return world;
}

/** How a world that knows keys is asked what it did. */
const lookUp =
  (world: FakeWorld): NonNullable<ToolPolicy["reconcile"]> =>
  async (_, { effectKey }) => {
    const answer = await fetch(`${world.url}/keys/${effectKey}`);
    if (answer.status === 404) return { done: false };
    return { done: true, result: ((await answer.json()) as { id: string }).id };
  };

const input = { messages: [new HumanMessage("Refund it.")] };
const answers = (messages: readonly BaseMessage[]) => messages.slice(2) as ToolMessage[];
/** By the calls' ids, what each was answered. */
const said = (messages: readonly BaseMessage[]) =>
  Object.fromEntries(answers(messages).map((one) => [one.tool_call_id, one.content]));
const named = (name: string) => ({ name, description: name, schema: forOrder });
const at404 = (): Error => Object.assign(new Error("no such order"), { status: 404 });
const reads = { onUnknown: "repeat", retry: { initialInterval: 1 }, breaker: false } as const;

describe.each(PLACES)("a tool call whose outcome nobody knows, on %s", (_, newPlace) => {
  test.each(["before", "after"] as const)("is looked up (hangs up %s it is done)", async (when) => {
    const world = await newWorld();
    world.fail({ drop: when });
    const refund = refundTool(world.url, { reconcile: lookUp(world) });
    const graph = toolsGraph((await newPlace()).open(), [refund], ["o1"]);
    const { messages } = await graph.invoke(input, syncRun("t"));
    expect(said(messages)).toEqual({ "refund-o1": "re_1" });
    expect(world.performed("refund")).toHaveLength(1);
    expect(world.requests).toHaveLength(when === "before" ? 2 : 1);
  });

  test("is repeated under one key", async () => {
    const world = await newWorld();
    world.fail({ hang: "after" });
    const refund = refundTool(world.url, { onUnknown: "repeat", timeout: 300 });
    const graph = toolsGraph((await newPlace()).open(), [refund], ["o1"]);
    const { messages } = await graph.invoke(input, syncRun("t"));
    expect(said(messages)).toEqual({ "refund-o1": "re_1" });
    expect(world.requests).toHaveLength(2);
    expect(new Set(world.requests.map(({ key }) => key)).size).toBe(1);
    expect(world.requests[0]?.key).toMatch(/^[0-9a-f]{32}$/);
  });

  test("is asked about; the others are answered meanwhile, and not made again", async () => {
    const world = await newWorld();
    world.fail({ drop: "after", when: ({ details }) => details["order"] === "o1" });
    const refund = refundTool(world.url, { onUnknown: "ask" });
    const graph = toolsGraph((await newPlace()).open(), [refund], ["o1", "o2"]);
    await graph.invoke(input, syncRun("t"));
    const { tasks } = await graph.getState(syncRun("t"));
    const [question, ...others] = tasks.flatMap(({ interrupts }) => interrupts);
    expect(others).toEqual([]);
    expect(question?.value).toMatchObject({ kind: "effect-unknown", effect: "refund" });
    // Asked again, nothing happens.
    await graph.invoke(null, syncRun("t"));
    const resume = { [question?.id ?? ""]: { outcome: "done", result: "re_1" } };
    const { messages } = await graph.invoke(new Command({ resume }), syncRun("t"));
    const second = world.performed("refund", { order: "o2" });
    expect(said(messages)).toEqual({ "refund-o1": "re_1", "refund-o2": second[0]?.id });
    expect(world.requests).toHaveLength(2);
  });
});

describe.each(PLACES)("a process killed among tool calls, on %s", (_, newPlace) => {
  test("leaves none unanswered, and none made twice", async () => {
    const world = await newWorld();
    world.fail({ hang: "after", when: ({ details }) => details["order"] === "o2" });
    const place = await newPlace();
    const saver = place.open();
    const first = startChild("tool-run.ts", place.url, "t", world.url);
    const recorded = async (): Promise<unknown> =>
      saver.steps.effects?.list({ threadId: "t", states: ["recorded"] });
    await expect.poll(recorded, { timeout: 30_000 }).toHaveLength(1);
    await expect.poll(() => world.performed("refund")).toHaveLength(2);
    await first.kill();

    const second = startChild("tool-run.ts", place.url, "t", world.url);
    const ids = ["o1", "o2"].map((order) => world.performed("refund", { order })[0]?.id);
    expect((await second.next("done"))["said"]).toEqual([
      { content: ids[0], tool_call_id: "refund-o1", status: "success" },
      { content: ids[1], tool_call_id: "refund-o2", status: "success" },
    ]);
    expect(world.counts()).toEqual({ refund: 2 });
    expect(world.requests).toHaveLength(3);
  });
});

describe.each(PLACES)("a tool that fails for good, on %s", (_, newPlace) => {
  test("fails the node where that was chosen; the others' results are kept", async () => {
    const made: string[] = [];
    let isBroken = true;
    const ship = tool(({ order }) => {
      made.push(order);
      if (order === "o2" && isBroken) throw at404();
      return `shipped ${order}`;
    }, named("ship"));
    const tools = [durableTool(ship, { ...reads, onFailure: "throw" })];
    const saver = (await newPlace()).open();
    const graph = toolsGraph(saver, tools, ["o1", "o2", "o3"], { handleToolErrors: false });
    expect(await rejection(graph.invoke(input, syncRun("t")))).toMatchObject({ status: 404 });
    expect((await graph.getState(syncRun("t"))).next).toEqual(["tools"]);
    isBroken = false;
    const { messages } = await graph.invoke(null, syncRun("t"));
    expect(said(messages)).toEqual({
      ...{ "ship-o1": "shipped o1", "ship-o2": "shipped o2", "ship-o3": "shipped o3" },
    });
    expect(made.toSorted()).toEqual(["o1", "o2", "o2", "o3"]);
  });

  test("is told to the model, beside what the others did", async () => {
    const made: string[] = [];
    const ship = tool(({ order }) => {
      made.push(order);
      if (order === "o2") throw at404();
      return `shipped ${order}`;
    }, named("ship"));
    const saver = (await newPlace()).open();
    const graph = toolsGraph(saver, [durableTool(ship, reads)], ["o1", "o2"]);
    const { messages } = await graph.invoke(input, syncRun("t"));
    expect(answers(messages)).toMatchObject([
      { tool_call_id: "ship-o1", status: "success", content: "shipped o1" },
      { tool_call_id: "ship-o2", status: "error", content: "Error: no such order" },
    ]);
    expect(made).toHaveLength(2);
  });
});

const State = Annotation.Root({
  ...MessagesAnnotation.spec,
  note: Annotation<string>(),
  artifact: Annotation<unknown>(),
});

describe.each(PLACES)("a recorded result, on %s", (_, newPlace) => {
  /** Fails after its tools were called, and is run again. */
  async function twice(tools: StructuredToolInterface[]) {
    const flaky = failTimes(1, () => undefined);
    const call = new ToolNode(tools);
    const graph = new StateGraph(State)
      .addNode("ask", () => ({ messages: [callsOf(tools, ["o1"])] }))
      .addNode("tools", async (state, config) => {
        const updates: unknown = await call.invoke(state, config);
        await flaky();
        return updates as Command;
      })
      .addEdge(START, "ask")
      .addEdge("ask", "tools")
      .addEdge("tools", END)
      .compile({ checkpointer: (await newPlace()).open() });
    await rejection(graph.invoke(input, syncRun("t")));
    return graph.invoke(null, syncRun("t"));
  }

  test("is the same again: a command, an artifact, a message, pieces, nothing at all", async () => {
    const made: string[] = [];
    const tools = [
      tool(({ order }, { toolCall }) => {
        made.push("note");
        const told = new ToolMessage({ content: "noted", tool_call_id: toolCall?.id ?? "" });
        return new Command({ update: { note: `about ${order}`, messages: [told] } });
      }, named("note")),
      tool(
        ({ order }) => {
          made.push("label");
          return [`label for ${order}`, { pages: 2, at: new Date(0) }];
        },
        { ...named("label"), responseFormat: "content_and_artifact" },
      ),
      tool(({ order }, { toolCall }) => {
        made.push("message");
        return new ToolMessage({ content: order, name: "own", tool_call_id: toolCall?.id ?? "" });
      }, named("message")),
      tool(async function* ({ order }) {
        made.push("pieces");
        yield await Promise.resolve("looking");
        return `found ${order}`;
      }, named("pieces")),
      tool(() => void made.push("nothing"), named("nothing")),
    ].map((one) => durableTool(one, reads));
    const { messages, note } = await twice(tools);
    expect(note).toBe("about o1");
    const byId = new Map(answers(messages).map((one) => [one.tool_call_id, one]));
    expect([...byId.keys()].toSorted()).toEqual(tools.map(({ name }) => `${name}-o1`).toSorted());
    expect(byId.get("note-o1")?.content).toBe("noted");
    expect(byId.get("label-o1")).toMatchObject({
      content: "label for o1",
      artifact: { pages: 2, at: new Date(0) },
    });
    expect(byId.get("message-o1")).toMatchObject({ content: "o1", name: "own" });
    expect(byId.get("pieces-o1")?.content).toBe("found o1");
    expect(byId.get("nothing-o1")).toMatchObject({ status: "success" });
    expect(made.toSorted()).toEqual(["label", "message", "note", "nothing", "pieces"]);
  });

  test("stays while a tool beside it asks a person", async () => {
    const made: string[] = [];
    const ship = tool(({ order }) => {
      made.push(order);
      return `shipped ${order}`;
    }, named("ship"));
    const sign = tool(({ order }) => {
      const by: unknown = interrupt(`Who signs for ${order}?`);
      return `signed by ${String(by)}`;
    }, named("sign"));
    const tools = [ship, sign].map((one) => durableTool(one, reads));
    const graph = toolsGraph((await newPlace()).open(), tools, ["o1"]);
    await graph.invoke(input, syncRun("t"));
    const { messages } = await graph.invoke(new Command({ resume: "ada" }), syncRun("t"));
    expect(said(messages)).toEqual({ "ship-o1": "shipped o1", "sign-o1": "signed by ada" });
    expect(made).toEqual(["o1"]);
  });
});
