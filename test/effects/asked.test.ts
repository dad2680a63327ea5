import { Annotation, Command, END, START, StateGraph, isInterrupted } from "@langchain/langgraph";
import { describe, expect, it, onTestFinished } from "vitest";
import { effect } from "../../src/effects/effect.ts";
import { durable } from "../../src/steps/durable.ts";
import { fakeWorld } from "../../src/testing/index.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";

const State = Annotation.Root({ mail: Annotation<string>() });

describe.each(PLACES)("a question about an effect of a durable node, on %s", (_, newPlace) => {
  it("is answered by its id, and asked no more", async () => {
    const world = await fakeWorld({ ignoresKeys: true });
    onTestFinished(() => world.close());
    world.fail({ drop: "after", on: "email" });
    const mail = effect({
      name: "asked.mail",
      run: async (text: string, { signal }) => {
        const body = JSON.stringify({ text });
        const answer = await fetch(`${world.url}/email`, { method: "POST", body, signal });
        return ((await answer.json()) as { id: string }).id;
      },
      onUnknown: "ask",
    });
    const graph = new StateGraph(State)
      .addNode(
        "send",
        durable(async () => ({ mail: await mail("hello") })),
      )
      .addEdge(START, "send")
      .addEdge("send", END)
      .compile({ checkpointer: (await newPlace()).open() });

    const asked: unknown = await graph.invoke({ mail: "" }, syncRun("t"));
    if (!isInterrupted(asked)) throw new Error("Nobody was asked.");
    const [{ id = "", value } = {}] = asked.__interrupt__;
    expect(value).toMatchObject({ kind: "effect-unknown", effect: "asked.mail" });

    const answer = { outcome: "done", result: "em_1" };
    const done = await graph.invoke(new Command({ resume: { [id]: answer } }), syncRun("t"));
    expect(done).toEqual({ mail: "em_1" });
    expect(world.counts()).toEqual({ email: 1 });
  });
});
