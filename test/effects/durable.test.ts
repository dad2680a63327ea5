/** Effects within durable nodes: attempts, timeouts, parking. */

import { Command, interrupt } from "@langchain/langgraph";
import { tool } from "@langchain/core/tools";
import { RunnableLambda, type Runnable } from "@langchain/core/runnables";
import { describe, expect, it } from "vitest";
import { effect } from "../../src/effects/effect.ts";
import { durable } from "../../src/steps/durable.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";
import { graphOf, questionsOf, World, type Body } from "./support/world.ts";

class Broken extends Error {
  readonly code = "ECONNRESET";
}

const retry = { maxAttempts: 3, initialInterval: 0, retryOn: () => true };
const quick = { initialInterval: 0, byKind: { network: { initialInterval: 0 } } };

describe.each(PLACES)("effects in durable nodes on %s", (_, newPlace) => {
  const setUp = async () => {
    const saver = (await newPlace()).open();
    return { saver, world: new World() };
  };

  it("are performed once over all attempts of the node", async () => {
    const { saver, world } = await setUp();
    const send = effect({ name: "send", run: (what: string) => world.do(what), onUnknown: "ask" });
    let attempts = 0;
    const body = durable(
      async () => {
        attempts += 1;
        await Promise.all([send("a"), send("a"), send("b")]);
        if (attempts < 3) throw new Error("again");
        return attempts;
      },
      { retry },
    ) as unknown as Body;
    expect((await graphOf(saver, body).invoke({ order: "" }, syncRun("t"))).log).toEqual([3]);
    expect(world.calls.toSorted()).toEqual(["a", "a", "b"]);
  });

  it("refuse an attempt whose call without a key has other arguments than the one before", async () => {
    const { saver, world } = await setUp();
    const send = effect({ name: "send", run: (what: string) => world.do(what), onUnknown: "ask" });
    let attempts = 0;
    const body = durable(
      async () => {
        attempts += 1;
        await send(`attempt ${attempts}`);
        throw new Error("again");
      },
      { retry },
    ) as unknown as Body;
    const run = graphOf(saver, body).invoke({ order: "" }, syncRun("t"));
    await expect(run).rejects.toMatchObject({ code: "EFFECT_CONFLICT" });
    expect(world.calls).toEqual(["attempt 1"]);
  });

  it("are unknown when their attempt's time is up, and what runs on can begin no other", async () => {
    const { saver, world } = await setUp();
    const late = Promise.withResolvers<void>();
    const refused = Promise.withResolvers<unknown>();
    const looked: string[] = [];
    const slow = effect<string, string>({
      name: "slow",
      run: (what) => {
        world.do(what);
        return new Promise(() => undefined);
      },
      reconcile: (what) => {
        looked.push(what);
        return { done: true, result: "found" };
      },
    });
    let attempts = 0;
    const body = durable(
      async () => {
        attempts += 1;
        if (attempts > 1) return slow("one", { key: "k" });
        // It catches its abort, and goes on.
        await slow("one", { key: "k" }).catch(() => undefined);
        await late.promise;
        slow("two", { key: "other" }).then(refused.resolve, refused.resolve);
        return undefined;
      },
      { retry, timeout: 300 },
    ) as unknown as Body;
    expect((await graphOf(saver, body).invoke({ order: "" }, syncRun("t"))).log).toEqual(["found"]);
    late.resolve();
    expect(await refused.promise).toBeInstanceOf(Error);
    expect(world.calls).toEqual(["one"]);
    expect(looked).toEqual(["one"]);
  });

  it("settle before their node parks for a person, even if its code swallows that", async () => {
    const { saver, world } = await setUp();
    const slow = Promise.withResolvers<void>();
    const asks = effect({
      name: "asks",
      run: () => {
        setImmediate(slow.resolve);
        throw new Broken("reset");
      },
      onUnknown: "ask",
    });
    const takes = effect({
      name: "takes its time",
      run: async () => {
        await slow.promise;
        return world.do("slow");
      },
      onUnknown: "ask",
    });
    const body = durable(async () => Promise.allSettled([asks(), takes()])) as unknown as Body;
    const plain: Body = () => Promise.all([asks(), takes()]);
    for (const [thread, node] of [
      ["durable", body],
      ["plain", plain],
    ] as const) {
      const result = await graphOf(saver, node).invoke({ order: "" }, syncRun(thread));
      expect(questionsOf(result)).toMatchObject([{ value: { effect: "asks" } }]);
      const rows = await saver.steps.effects?.list({ threadId: thread });
      expect(rows?.map(({ name, state }) => `${name}: ${state}`).toSorted()).toEqual([
        "asks: unknown",
        "takes its time: recorded",
      ]);
    }
    expect(world.calls).toEqual(["slow", "slow"]);
  });

  it("are not repeated when a question in the same node is answered", async () => {
    const { saver, world } = await setUp();
    const send = effect({ name: "send", run: (what: string) => world.do(what), onUnknown: "ask" });
    const graph = graphOf(saver, async () => {
      await send("before");
      const answer: unknown = interrupt("go on?");
      return [answer, await send("after")];
    });
    await graph.invoke({ order: "" }, syncRun("t"));
    const done = await graph.invoke(new Command({ resume: "yes" }), syncRun("t"));
    expect(done.log).toEqual([["yes", "after done"]]);
    expect(world.calls).toEqual(["before", "after"]);
  });

  it("work in tools and runnables, and once over LangGraph's own retries", async () => {
    const { saver, world } = await setUp();
    const send = effect({ name: "send", run: (what: string) => world.do(what), onUnknown: "ask" });
    const lookUp: Runnable<{ what: string }> = tool(
      async ({ what }: { what: string }) => send(what),
      {
        name: "look_up",
        description: "",
        schema: {
          type: "object",
          properties: { what: { type: "string" } },
          required: ["what"],
        } as const,
      },
    );
    let attempts = 0;
    const graph = graphOf(saver, async () => {
      attempts += 1;
      await lookUp.invoke({ what: "in a tool" });
      await RunnableLambda.from(() => send("in a runnable")).invoke("");
      await send("in the node");
      if (attempts === 1) throw new Error("again");
    });
    const node = graph.nodes["n1"];
    if (node !== undefined)
      node.retryPolicy = { maxAttempts: 2, initialInterval: 1, jitter: false, logWarning: false };
    await graph.invoke({ order: "" }, syncRun("t"));
    expect(attempts).toBe(2);
    expect(world.calls).toEqual(["in a tool", "in a runnable", "in the node"]);
  });

  it("of the same key at the same time in one node are one", async () => {
    const { saver, world } = await setUp();
    const send = effect({ name: "send", run: (what: string) => world.do(what), onUnknown: "ask" });
    const graph = graphOf(saver, () =>
      Promise.all(Array.from({ length: 5 }, () => send("x", { key: "k" }))),
    );
    const { log } = await graph.invoke({ order: "" }, syncRun("t"));
    expect(log).toEqual([Array.from({ length: 5 }, () => "x done")]);
    expect(world.calls).toEqual(["x"]);
  });

  it("give up what a policy within has given up, without multiplying it", async () => {
    const { saver, world } = await setUp();
    const send = effect({
      name: "send",
      run: () => {
        world.do("send");
        throw Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
      },
      onUnknown: "ask",
      retry: { ...quick, maxAttempts: 3 },
    });
    const body = durable(() => send(), { retry: { maxAttempts: 4, initialInterval: 0 } });
    const run = graphOf(saver, body).invoke({ order: "" }, syncRun("t"));
    await expect(run).rejects.toThrow("refused");
    expect(world.calls).toHaveLength(3);
  });
});
