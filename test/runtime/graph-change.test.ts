import { Annotation, END, START, StateGraph, interrupt } from "@langchain/langgraph";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { effect } from "../../src/effects/effect.ts";
import type { GraphChangePolicy } from "../../src/run/graph-change.ts";
import { fingerprintOf } from "../../src/run/fingerprint.ts";
import type { RunnableGraph } from "../../src/run/graph.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { GraphOptions } from "../../src/runtime/types.ts";
import { PLACES } from "../support/places.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});

const world: string[] = [];
const pay = effect({
  name: "graph-change-pay",
  run: (amount: number) => Promise.resolve(void world.push(`paid ${amount}`)),
  onUnknown: "repeat",
});

type Body = (config: LangGraphRunnableConfig) => string | Promise<string>;
const says = (name: string): Body => {
  return () => name;
};
const asks: Body = () => `said ${interrupt("really?") as string}`;

type Wiring = [from: string | string[], to: string][];

interface Wired {
  addNode(
    name: string,
    body: (state: unknown, config: LangGraphRunnableConfig) => unknown,
  ): unknown;
  addEdge(from: string | string[], to: string): unknown;
  compile(): RunnableGraph;
}

function wire(bodies: Record<string, Body>, edges: Wiring): RunnableGraph {
  const graph = new StateGraph(State) as unknown as Wired;
  for (const [name, body] of Object.entries(bodies)) {
    graph.addNode(name, async (_state, config) => ({ log: [await body(config)] }));
  }
  for (const [from, to] of edges) graph.addEdge(from, to);
  return graph.compile();
}

function chain(...steps: [name: string, body?: Body][]): RunnableGraph {
  const names = steps.map(([name]) => name);
  return wire(
    Object.fromEntries(steps.map(([name, body]) => [name, body ?? says(name)])),
    [START, ...names].map((name, i) => [name, names[i] ?? END]),
  );
}

describe.each(PLACES)("a changed graph on %s", (_, newPlace) => {
  const open: { runtime: Runtime; saver: HoldfastSaver }[] = [];

  async function deployments(): Promise<
    (graph: object, onGraphChange?: GraphChangePolicy) => Runtime
  > {
    const place = await newPlace();
    return (graph, onGraphChange = "continue") => {
      const saver = place.open();
      const worker = { pollInterval: 20, leaseDuration: 2_000 };
      const runtime = createRuntime({ saver, graphs: { job: graph }, onGraphChange, worker });
      open.push({ runtime, saver });
      return runtime;
    };
  }

  afterEach(async () => {
    world.length = 0;
    for (const { runtime, saver } of open.splice(0)) {
      await runtime.close({ gracePeriod: 0 });
      await saver.end();
    }
  });

  const outcome = async (runtime: Runtime, runId: string) => {
    const { status, reason, values } = await runtime.result<{ log: string[] }>(runId);
    return { status, reason, log: values.log };
  };

  /** Begun by a runtime that is gone then, up to its question. */
  async function asked(runtime: Runtime): Promise<void> {
    await runtime.start("job", {}, { threadId: "t", runId: "r" });
    expect(await outcome(runtime, "r")).toMatchObject({ status: "interrupted" });
    await runtime.close();
  }

  it("goes on where nothing is skipped or done again", async () => {
    const deploy = await deployments();
    await asked(deploy(chain(["plan"], ["ask", asks], ["ship"])));
    const next = deploy(chain(["plan"], ["ask", asks], ["pack"], ["ship"]));
    await next.resume("t", "yes");
    expect(await outcome(next, "r")).toMatchObject({
      status: "completed",
      log: ["plan", "said yes", "pack", "ship"],
    });
  });

  it.each([
    ["renamed", chain(["plan"], ["question", asks], ["ship"]), /"ask".*not in the graph/],
    ["removed", chain(["plan"], ["ship"]), /"ask".*not in the graph/],
  ])("waits where a node was %s, and goes on where the old one is", async (__, changed, why) => {
    const deploy = await deployments();
    const old = chain(["plan"], ["ask", asks], ["ship"]);
    await asked(deploy(old));
    const next = deploy(changed);
    await next.resume("t");
    const { status, reason, log } = await outcome(next, "r");
    expect({ status, log }).toEqual({ status: "interrupted", log: ["plan"] });
    expect(reason).toMatch(why);
    expect(await next.status("t")).toMatchObject({
      status: "interrupted",
      errorMessage: expect.stringMatching(why) as string,
    });
    await next.close();
    const again = deploy(old);
    await again.resume("t", "yes");
    expect(await outcome(again, "r")).toMatchObject({
      status: "completed",
      log: ["plan", "said yes", "ship"],
    });
  });

  it("waits where an effect that was done would be done again", async () => {
    const deploy = await deployments();
    const paying: Body = async (config) => {
      await pay(5);
      return asks(config);
    };
    const bodies = { plan: says("plan"), other: says("other"), pay: paying };
    const begin: Wiring = [
      [START, "plan"],
      [START, "other"],
    ];
    await asked(deploy(wire(bodies, [...begin, [["plan", "other"], "pay"], ["pay", END]])));
    const changed: Wiring = [...begin, ["plan", "pay"], ["pay", END], ["other", END]];
    const next = deploy(wire(bodies, changed));
    await next.resume("t");
    const { status, reason } = await outcome(next, "r");
    expect(status).toBe("interrupted");
    expect(reason).toMatch(/joined/);
    expect(world).toEqual(["paid 5"]);
  });

  it("waits where a join is made in another way", async () => {
    const deploy = await deployments();
    const bodies = { a: says("a"), b: asks, last: says("last") };
    const changed = { ...bodies, c: says("c") };
    const begin: Wiring = [
      [START, "a"],
      [START, "b"],
      ["last", END],
    ];
    await asked(deploy(wire(bodies, [...begin, [["a", "b"], "last"]])));
    const joined: Wiring = [...begin, ["b", "c"], [["a", "c"], "last"]];
    const next = deploy(wire(changed, joined));
    await next.resume("t");
    const { status, reason } = await outcome(next, "r");
    expect(status).toBe("interrupted");
    expect(reason).toMatch(/joined/);
  });

  it("leaves a run to workers that have its version", async () => {
    const deploy = await deployments();
    const old = chain(["plan"], ["ask", asks], ["ship"]);
    const version = (name: string, graph = old): GraphOptions => ({
      graph,
      version: name,
      onChange: "pin",
    });
    const blue = deploy(version("blue"));
    await asked(blue);
    const green = deploy(version("green", chain(["plan"], ["question", asks], ["ship"])));
    await green.resume("t", "yes").catch(() => green.resume("t"));
    await green.start("job", {}, { threadId: "new", runId: "new" });
    expect(await outcome(green, "new")).toMatchObject({ status: "interrupted" });
    // The green worker has looked at all that is due since, and the run still waits for a blue one.
    expect(await green.run("r")).toMatchObject({ status: "queued", attempt: 1 });
    const again = deploy(version("blue"));
    await again.worker({ pollInterval: 20 }).start();
    await expect.poll(async () => (await again.run("r")).status).toBe("interrupted");
    await again.resume("t", "yes");
    expect(await outcome(again, "r")).toMatchObject({
      status: "completed",
      log: ["plan", "said yes", "ship"],
    });
    expect(await again.run("new")).toMatchObject({ status: "interrupted", attempt: 1 });
  });

  it("refuses all changes, where it is told to", async () => {
    const deploy = await deployments();
    await asked(deploy(chain(["plan"], ["ask", asks], ["ship"])));
    const next = deploy(chain(["plan"], ["ask", asks], ["pack"], ["ship"]), "refuse");
    await next.resume("t", "yes");
    const { status, reason } = await outcome(next, "r");
    expect(status).toBe("interrupted");
    expect(reason).toMatch(/person/);
    // A person looked: it may be cancelled all the same.
    await next.cancel("r");
    expect(await outcome(next, "r")).toMatchObject({ status: "cancelled" });
  });

  it("moves a run to where its migration says, once", async () => {
    const deploy = await deployments();
    await asked(deploy(chain(["plan"], ["ask", asks], ["ship"])));
    const seen: unknown[] = [];
    const next = deploy(chain(["plan"], ["question", asks], ["ship"]), {
      migrate: (thread) => {
        seen.push(thread);
        return { values: { log: ["moved"] }, asNode: "plan" };
      },
    });
    await next.resume("t");
    await expect
      .poll(async () => (await next.inbox.list()).length + seen.length)
      .toBeGreaterThan(0);
    expect(await outcome(next, "r")).toMatchObject({
      status: "interrupted",
      log: ["plan", "moved"],
    });
    await next.resume("t", "yes");
    expect(await outcome(next, "r")).toMatchObject({
      status: "completed",
      log: ["plan", "moved", "said yes", "ship"],
    });
    expect(seen).toEqual([
      {
        ...{ threadId: "t", runId: "r", values: { log: ["plan"] }, next: ["ask"] },
        from: fingerprintOf(chain(["plan"], ["ask", asks], ["ship"])),
        to: fingerprintOf(chain(["plan"], ["question", asks], ["ship"])),
      },
    ]);
  });

  it.each([
    ["throws", () => Promise.reject(new Error("no way")), /no way/],
    ["names no node", () => ({ asNode: "gone" }), /"gone"/],
    ["does not help", () => undefined, /"ask".*not in the graph/],
  ])("waits where a migration %s", async (__, migrate, why) => {
    const deploy = await deployments();
    await asked(deploy(chain(["plan"], ["ask", asks], ["ship"])));
    const next = deploy(chain(["plan"], ["question", asks], ["ship"]), { migrate });
    await next.resume("t");
    const { status, reason, log } = await outcome(next, "r");
    expect({ status, log }).toEqual({ status: "interrupted", log: ["plan"] });
    expect(reason).toMatch(why);
  });

  it("does each step once, or waits, whatever was changed", { timeout: 60_000 }, async () => {
    const names = ["a", "b", "c", "d"];
    const edit = fc.oneof(
      fc.record({ do: fc.constant("rename" as const), at: fc.nat(3) }),
      fc.record({ do: fc.constant("remove" as const), at: fc.nat(3) }),
      fc.record({ do: fc.constant("insert" as const), at: fc.nat(4) }),
      fc.record({ do: fc.constant("swap" as const), at: fc.nat(2) }),
    );
    const deploy = await deployments();
    let thread = 0;
    await fc.assert(
      fc.asyncProperty(fc.nat(3), fc.array(edit, { maxLength: 3 }), async (stop, edits) => {
        const threadId = `t${(thread += 1)}`;
        const at = Promise.withResolvers<void>();
        const drained = (name: string): Body => {
          return async ({ control }) => {
            at.resolve();
            await expect.poll(() => control?.drainRequested, { interval: 1 }).toBe(true);
            return name;
          };
        };
        const old = deploy(
          chain(
            ...names.map((name, i): [string, Body] => [
              name,
              i === stop ? drained(name) : says(name),
            ]),
          ),
        );
        await old.start("job", {}, { threadId, runId: threadId });
        await at.promise;
        await old.close();
        const changed = [...names];
        for (const { do: what, at: place } of edits) {
          if (what === "rename" && changed[place] !== undefined) changed[place] += "x";
          if (what === "remove") changed.splice(place, 1);
          if (what === "insert") changed.splice(place, 0, `n${changed.length}`);
          const [one, two] = [changed[place], changed[place + 1]];
          if (what === "swap" && one !== undefined && two !== undefined) {
            changed.splice(place, 2, two, one);
          }
        }
        const unique = [...new Set(changed.length === 0 ? ["a"] : changed)];
        const next = deploy(chain(...unique.map((name): [string] => [name])));
        await next.worker({ pollInterval: 20 }).start();
        const { status, log } = await outcome(next, threadId);
        await next.close();
        const done = names.slice(0, stop + 1);
        const pending = names[stop + 1];
        const goesOn = pending === undefined || unique.includes(pending);
        expect(status).toBe(goesOn ? "completed" : "interrupted");
        const rest = pending === undefined ? [] : unique.slice(unique.indexOf(pending));
        expect(log).toEqual(goesOn ? [...done, ...rest] : done);
      }),
      { numRuns: 15 },
    );
  });
});

describe("a fingerprint", () => {
  it("is that of nodes, edges and channels, and of nothing else", () => {
    const one = fingerprintOf(chain(["a"], ["b"]));
    expect(fingerprintOf(chain(["a", asks], ["b", says("c")]))).toBe(one);
    expect(one).toMatch(/^[0-9a-f]{16}$/);
    const others = [
      fingerprintOf(chain(["a"], ["c"])),
      fingerprintOf(chain(["b"], ["a"])),
      fingerprintOf(chain(["a"], ["b"]), "v2"),
      fingerprintOf(
        wire({ a: says("a"), b: says("b") }, [
          [START, "a"],
          [START, "b"],
        ]),
      ),
      fingerprintOf(chain(["a"], ["b"], ["c"])),
    ];
    expect(new Set([one, ...others]).size).toBe(others.length + 1);
  });
});
