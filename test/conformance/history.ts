/** What time travel must do over any saver, as a suite. */

import { Annotation, Command, START, StateGraph, entrypoint } from "@langchain/langgraph";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isHoldfastError } from "../../src/errors.ts";
import { diff, findCheckpoint, fork, history, rewind } from "../../src/history/index.ts";
import type { HistoryPoint } from "../../src/history/index.ts";
import {
  askingGraph,
  chainGraph,
  collect,
  deltaGraph,
  nestedGraph,
  onThread,
  researchGraph,
} from "./history-graphs.ts";
import type { Saver } from "./history-graphs.ts";

export interface SaverUnderTest {
  saver: Saver;
  close?: () => Promise<void> | void;
}

export interface HistorySuiteOptions {
  /** LangGraph's own savers give forks of a `DeltaChannel` each other's writes. */
  deltaForks: boolean;
}

export function historySuite(
  name: string,
  open: () => Promise<SaverUnderTest> | SaverUnderTest,
  { deltaForks }: HistorySuiteOptions,
): void {
  describe(`history over ${name}`, () => {
    let opened: SaverUnderTest;
    let saver: Saver;
    let threads = 0;
    const newThread = (): string => `thread-${++threads}`;
    beforeAll(async () => {
      opened = await open();
      saver = opened.saver;
    });
    afterAll(async () => {
      await opened.close?.();
    });

    it("tells who wrote each state, what it changed, and what comes next", async () => {
      const graph = researchGraph(saver);
      const thread = newThread();
      await graph.invoke({ topic: "kelp" }, onThread(thread));
      await graph.invoke(new Command({ resume: "yes" }), onThread(thread));

      const points = await collect(history(graph, thread));
      const told = points
        .toReversed()
        .map(({ step, source, node, changed, next }) => [step, source, node, changed, next]);
      expect(told).toEqual([
        [-1, "input", undefined, ["found"], ["__start__"]],
        [0, "loop", "__start__", ["topic"], ["plan"]],
        [1, "loop", "plan", ["outline"], ["search", "search"]],
        [2, "loop", "search, search", ["found"], ["ask"]],
        [3, "loop", "ask", ["found"], ["a", "b"]],
        [4, "loop", "a, b", ["found"], ["join"]],
        [5, "loop", "join", [], []],
      ]);
      expect(points[1]?.nodes).toEqual(["a", "b"]);
      expect(points.map((point) => point.branch)).toEqual(points.map(() => "main"));
      expect(points[0]?.tasks).toEqual([]);
      for (const [index, point] of points.entries()) {
        expect(point.threadId).toBe(thread);
        expect(point.parentId).toBe(points[index + 1]?.checkpointId);
        expect(new Date(point.createdAt).toISOString()).toBe(point.createdAt);
      }
    });

    it("has the values that LangGraph's own history has", async () => {
      for (const graph of [researchGraph(saver), deltaGraph(saver)]) {
        const thread = newThread();
        await graph.invoke({ topic: "kelp", n: 1 }, onThread(thread));
        await graph.invoke({ topic: "sand", n: 2 }, onThread(thread));
        const points = await collect(history(graph, thread));
        const states = await collect(graph.getStateHistory(onThread(thread)));
        expect(points.map(({ values }) => values)).toEqual(states.map(({ values }) => values));
        expect(points.map(({ next }) => next)).toEqual(states.map(({ next }) => next));
        expect(points.map(({ tasks }) => tasks)).toEqual(states.map(({ tasks }) => tasks));
      }
    });

    it("tells the same over the saver alone, but for tasks", async () => {
      const thread = newThread();
      const graph = researchGraph(saver);
      await graph.invoke({ topic: "kelp" }, onThread(thread));
      await graph.invoke(new Command({ resume: "yes" }), onThread(thread));
      await fork(graph, thread, {
        checkpointId: (await at(graph, thread, 1)).checkpointId,
        update: { outline: "another" },
      });
      await graph.invoke(null, onThread(thread));

      const overGraph = await collect(history(graph, thread));
      const overSaver = await collect(history(saver, thread));
      expect(overSaver).toEqual(overGraph.map((point) => ({ ...point, tasks: undefined })));
    });

    it("tells which questions wait for an answer, and no longer once they have one", async () => {
      const graph = researchGraph(saver);
      const thread = newThread();
      await graph.invoke({ topic: "kelp" }, onThread(thread));
      const [waiting] = await collect(history(graph, thread, { limit: 1 }));
      const [task] = (await graph.getState(onThread(thread))).tasks;
      expect(waiting?.interrupts).toEqual([
        {
          id: task?.interrupts[0]?.id,
          value: 'is "on kelp" right?',
          taskId: task?.id,
        },
      ]);

      await graph.invoke(new Command({ resume: "yes" }), onThread(thread));
      const points = await collect(history(graph, thread));
      expect(points.flatMap(({ interrupts }) => interrupts)).toEqual([]);
    });

    it("names branches: main ends in the head, others are named after their end", async () => {
      const graph = chainGraph(saver);
      const thread = newThread();
      await graph.invoke({ n: 1 }, onThread(thread));
      const firstEnd = await at(graph, thread, 3);
      const { checkpointId } = await at(graph, thread, 1);
      await graph.invoke(
        null,
        (await fork(graph, thread, { checkpointId, update: { n: 2 } })).config,
      );
      const secondEnd = await at(graph, thread, 4);
      await graph.invoke(
        null,
        (await fork(graph, thread, { checkpointId, update: { n: 3 } })).config,
      );

      const points = await collect(history(graph, thread));
      const branchOf = (id: string): string | undefined =>
        points.find((point) => point.checkpointId === id)?.branch;
      expect(branchOf(firstEnd.checkpointId)).toBe(firstEnd.checkpointId.slice(0, 13));
      expect(branchOf(secondEnd.checkpointId)).toBe(secondEnd.checkpointId.slice(0, 13));
      const counts = Object.groupBy(points, ({ branch }) => branch);
      // Input, start and first are main's; each fork has its update and two more.
      expect(counts["main"]?.map(({ step }) => step)).toEqual([4, 3, 2, 1, 0, -1]);
      expect(counts[secondEnd.checkpointId.slice(0, 13)]?.length).toBe(3);
      expect(counts[firstEnd.checkpointId.slice(0, 13)]?.length).toBe(2);
      // An older page tells the same names.
      const older = await collect(history(graph, thread, { before: checkpointId, limit: 1 }));
      expect(older.map(({ branch }) => branch)).toEqual(["main"]);
      const filtered = await collect(history(graph, thread, { filter: { source: "update" } }));
      expect(filtered.map(({ branch }) => branch)).toEqual([
        "main",
        secondEnd.checkpointId.slice(0, 13),
      ]);
      expect(filtered.map(({ changed }) => changed)).toEqual([["n"], ["n"]]);
    });

    it("limits, pages and filters", async () => {
      const graph = chainGraph(saver);
      const thread = newThread();
      await graph.invoke({ n: 1 }, onThread(thread));
      const all = await collect(history(graph, thread));
      const ids = (points: HistoryPoint[]): string[] => points.map((point) => point.checkpointId);

      const newest = await collect(history(graph, thread, { limit: 2 }));
      expect(newest).toEqual(all.slice(0, 2));
      const before = newest[1]?.checkpointId ?? "";
      expect(ids(await collect(history(graph, thread, { before })))).toEqual(ids(all.slice(2)));
      expect(await collect(history(graph, thread, { limit: 0 }))).toEqual([]);
      const inputs = await collect(history(graph, thread, { filter: { source: "input" } }));
      expect(inputs.map(({ step }) => step)).toEqual([-1]);
      expect(await collect(history(graph, thread, { filter: { source: "x" } }))).toEqual([]);
      expect(await collect(history(graph, newThread()))).toEqual([]);
      expect(() => history(graph, thread, { limit: -1 })).toThrow(/limit/);

      const slim = await collect(history(graph, thread, { values: false, changes: true }));
      expect(slim.map(({ values }) => values)).toEqual(all.map(() => undefined));
      expect(slim[0]?.changes).toEqual([{ kind: "added", path: ["log", 2], after: "third:1" }]);
      expect(slim.at(-1)?.changes).toEqual([{ kind: "added", path: ["log"], after: [] }]);
    });

    it("reads subgraphs' namespaces, one or all", async () => {
      const graph = nestedGraph(saver);
      const thread = newThread();
      await graph.invoke({ n: 1 }, onThread(thread));
      const everything = await collect(history(graph, thread, { namespace: "*" }));
      const namespaces = [...new Set(everything.map(({ namespace }) => namespace))].toSorted();
      expect(namespaces.map((ns) => ns.replaceAll(/:[^|]+/g, ""))).toEqual([
        "",
        "outer",
        "outer|inner",
      ]);
      for (const namespace of namespaces) {
        const alone = await collect(history(graph, thread, { namespace }));
        expect(alone).toEqual(everything.filter((point) => point.namespace === namespace));
        expect(alone.at(0)?.branch).toBe("main");
      }
      const inner = everything.filter(({ namespace }) => namespace.includes("inner"));
      expect(inner.map(({ node }) => node)).toEqual(["draft", "__start__", undefined]);
      expect(inner[0]?.interrupts.map(({ value }) => value)).toEqual(["publish 1?"]);
    });

    it("reads values of a DeltaChannel over the graph, and names its changes over the saver", async () => {
      const graph = deltaGraph(saver);
      const thread = newThread();
      await graph.invoke({ n: 1, log: ["in"] }, onThread(thread));
      await graph.invoke({ n: 2, log: ["again"] }, onThread(thread));
      const [head, ...rest] = await collect(history<{ log: string[] }>(graph, thread));
      expect(head?.values.log).toEqual([
        ...["in", "first:1", "second:1", "third:1"],
        ...["again", "first:2", "second:2", "third:2"],
      ]);
      expect([head, ...rest].map((point) => point?.changed.includes("log"))).toEqual([
        true,
        true,
        true,
        true,
        false,
        true,
        true,
        true,
        true,
        true,
      ]);
      const overSaver = await collect(history(saver, thread));
      expect(overSaver.slice(0, 9).map(({ changed }) => changed.includes("log"))).toEqual([
        ...[true, true, true, true, false, true, true, true, true],
      ]);
    });

    it("reads values of a DeltaChannel in a subgraph", async () => {
      const inner = deltaGraph(saver);
      inner.checkpointer = undefined as never;
      const graph = new StateGraph(Annotation.Root({ n: Annotation<number>() }))
        .addNode("inner", inner)
        .addEdge(START, "inner")
        .compile({ checkpointer: saver });
      const thread = newThread();
      await graph.invoke({ n: 1 }, onThread(thread));
      const points = await collect(history<{ log?: string[] }>(graph, thread, { namespace: "*" }));
      const end = points.find(({ namespace }) => namespace !== "");
      expect(end?.values.log).toEqual(["first:1", "second:1", "third:1"]);
    });

    it("reads states that aren't records of channels", async () => {
      const flow = entrypoint({ name: "flow", checkpointer: saver }, (input: number) =>
        Promise.resolve([input, input + 1]),
      );
      const thread = newThread();
      await flow.invoke(1, onThread(thread));
      await flow.invoke(2, onThread(thread));
      const points = await collect(history<number[]>(flow, thread));
      expect(points.map(({ values }) => values)).toEqual([[2, 3], [1, 2], [1, 2], null]);
      expect(points.map(({ changed }) => changed)).toEqual([["__root__"], [], ["__root__"], []]);
      expect(points.map(({ node }) => node)).toEqual(["flow", undefined, "flow", undefined]);
      const alone = await collect(history(saver, thread));
      expect(alone.slice(0, 3)).toEqual(
        points.slice(0, 3).map((point) => ({ ...point, next: undefined, tasks: undefined })),
      );
    });

    it("completes the beginning of a checkpoint id", async () => {
      const graph = chainGraph(saver);
      const thread = newThread();
      await graph.invoke({ n: 1 }, onThread(thread));
      const points = await collect(history(graph, thread));
      for (const { checkpointId } of points) {
        expect(await findCheckpoint(graph, thread, checkpointId)).toEqual({
          threadId: thread,
          namespace: "",
          checkpointId,
        });
        const prefix = checkpointId.slice(0, 23);
        expect((await findCheckpoint(saver, thread, prefix)).checkpointId).toBe(checkpointId);
      }
      const shared = points[0]?.checkpointId.slice(0, 2) ?? "";
      await expect(findCheckpoint(graph, thread, shared)).rejects.toSatisfy(
        (error) =>
          isHoldfastError(error, "INVALID_INPUT") &&
          error.message.includes(points[0]?.checkpointId ?? "-"),
      );
      for (const [id, prefix] of [
        [thread, "zz"],
        [thread, "00000000-0000-6000-8000-000000000000"],
        [newThread(), "1"],
      ] as const) {
        await expect(findCheckpoint(graph, id, prefix)).rejects.toSatisfy((error) =>
          isHoldfastError(error, "NOT_FOUND"),
        );
      }
    });

    it("compares two checkpoints", async () => {
      const graph = deltaGraph(saver);
      const thread = newThread();
      await graph.invoke({ n: 1 }, onThread(thread));
      const [last, second] = await collect(history(graph, thread, { limit: 2 }));
      if (last === undefined || second === undefined) throw new Error("no history");
      expect(await diff(graph, thread, second.checkpointId, last.checkpointId)).toEqual([
        { kind: "added", path: ["log", 2], after: "third:1" },
      ]);
      await expect(diff(graph, thread, second.checkpointId, "nowhere")).rejects.toSatisfy((error) =>
        isHoldfastError(error, "NOT_FOUND"),
      );
    });

    describe("fork and rewind", () => {
      it("begin a branch that runs on, and leave every other state as it was", async () => {
        const ran: string[] = [];
        const graph = chainGraph(saver, ran);
        const thread = newThread();
        await graph.invoke({ n: 1 }, onThread(thread));
        const before = await frozen(graph, thread);
        const { checkpointId } = await at(graph, thread, 1);
        ran.length = 0;

        const branch = await fork(graph, thread, { checkpointId, update: { n: 5 } });
        expect(branch.forkedFrom).toEqual({ threadId: thread, namespace: "", checkpointId });
        const end = await graph.invoke(null, branch.config);
        expect(end).toEqual({ n: 5, log: ["first:1", "second:5", "third:5"] });
        expect(ran).toEqual(["second:5", "third:5"]);
        expect((await graph.getState(onThread(thread))).values).toEqual(end);

        const after = await frozen(graph, thread);
        for (const [id, state] of before) expect(after.get(id), id).toEqual(state);
        const point = (await collect(history(graph, thread))).find(
          (each) => each.checkpointId === branch.checkpointId,
        );
        expect(point).toMatchObject({ parentId: checkpointId, source: "update", changed: ["n"] });
      });

      it("also run on by the thread alone, since the branch is its head", async () => {
        const graph = chainGraph(saver);
        const thread = newThread();
        await graph.invoke({ n: 1 }, onThread(thread));
        const { checkpointId } = await at(graph, thread, 2);
        await fork(graph, thread, { checkpointId, update: { n: 7 } });
        const end = await graph.invoke(null, onThread(thread));
        expect(end.log).toEqual(["first:1", "second:1", "third:7"]);
      });

      it("copy a state without changing it, and run its tasks again, finished ones too", async () => {
        const ran: string[] = [];
        const graph = researchGraph(saver, ran);
        const thread = newThread();
        await graph.invoke({ topic: "kelp" }, onThread(thread));
        await graph.invoke(new Command({ resume: "yes" }), onThread(thread));
        const before = await frozen(graph, thread);
        const old = await at(graph, thread, 1);
        ran.length = 0;

        const branch = await rewind(graph, thread, { checkpointId: old.checkpointId });
        const head = await graph.getState(onThread(thread));
        expect(head.values).toEqual(old.values);
        expect(head.next).toEqual(["search", "search"]);
        expect(branch.checkpointId).toBe(head.config.configurable?.["checkpoint_id"]);
        // Asks again: the answer belonged to the other branch.
        const asked = await graph.invoke(null, branch.config);
        expect(asked).toHaveProperty("__interrupt__");
        expect(ran).toEqual(["search", "search", "ask"]);
        const end = await graph.invoke(new Command({ resume: "no" }), onThread(thread));
        expect(end.found).toEqual(["found x", "found y", "told no", "a", "b"]);
        expect(ran).toEqual(["search", "search", "ask", "ask", "a", "b", "join"]);

        const after = await frozen(graph, thread);
        for (const [id, state] of before) expect(after.get(id), id).toEqual(state);
      });

      it("can begin several branches at one state, each with its own config", async () => {
        const graph = chainGraph(saver);
        const thread = newThread();
        await graph.invoke({ n: 1 }, onThread(thread));
        const { checkpointId } = await at(graph, thread, 1);
        const branches = [];
        for (const n of [2, 3, 4]) {
          branches.push(await fork(graph, thread, { checkpointId, update: { n } }));
        }
        for (const [index, { config }] of branches.entries()) {
          const end = await graph.invoke(null, config);
          expect(end).toEqual({
            n: index + 2,
            log: ["first:1", `second:${index + 2}`, `third:${index + 2}`],
          });
        }
      });

      it("can begin at an input, and as another node", async () => {
        const graph = chainGraph(saver);
        const thread = newThread();
        await graph.invoke({ n: 1 }, onThread(thread));
        const input = await at(graph, thread, -1);
        const again = await fork(graph, thread, { checkpointId: input.checkpointId });
        expect((await graph.invoke(null, again.config)).log).toEqual([
          ...["first:1", "second:1", "third:1"],
        ]);
        const other = newThread();
        await graph.invoke({ n: 1 }, onThread(other));
        const { checkpointId } = await at(graph, other, 0);
        const skipping = await fork(graph, other, { checkpointId, asNode: "second" });
        expect((await graph.invoke(null, skipping.config)).log).toEqual(["third:1"]);
        const elsewhere = await fork(graph, other, {
          checkpointId,
          update: { n: 9 },
          asNode: "first",
        });
        expect((await graph.invoke(null, elsewhere.config)).log).toEqual(["second:9", "third:9"]);
      });

      it("keep what was next, whoever wrote the state", async () => {
        const graph = researchGraph(saver);
        const thread = newThread();
        await graph.invoke({ topic: "kelp" }, onThread(thread));
        const points = await collect(history(graph, thread));
        for (const [step, update, next] of [
          [0, { topic: "sand" }, ["plan"]],
          [1, { outline: "new" }, ["search", "search"]],
          // LangGraph would take "plan" for the last to have run, and search again.
          [2, { found: ["by hand"] }, ["ask"]],
        ] as const) {
          const { checkpointId = "" } = points.find((point) => point.step === step) ?? {};
          const { config } = await fork(graph, thread, { checkpointId, update });
          expect((await graph.getState(config)).next).toEqual(next);
        }
      });

      it("can be begun all at once", async () => {
        const graph = chainGraph(saver);
        const thread = newThread();
        await graph.invoke({ n: 1 }, onThread(thread));
        const { checkpointId } = await at(graph, thread, 1);
        const ends = await Promise.all(
          [2, 3, 4, 5].map(async (n) => {
            const { config } = await fork(graph, thread, { checkpointId, update: { n } });
            return graph.invoke(null, config);
          }),
        );
        expect(ends.map(({ log }) => log)).toEqual(
          [2, 3, 4, 5].map((n) => ["first:1", `second:${n}`, `third:${n}`]),
        );
        const leaves = (await collect(history(graph, thread))).filter(({ next }) => !next?.length);
        const told = new Set(leaves.map(({ values }) => values["n"]));
        expect(told).toEqual(new Set([1, 2, 3, 4, 5]));
        expect(new Set(leaves.map(({ branch }) => branch)).size).toBe(5);
      });

      it("refuse what cannot be done, and say why", async () => {
        const graph = researchGraph(saver);
        const thread = newThread();
        await graph.invoke({ topic: "kelp" }, onThread(thread));
        await graph.invoke(new Command({ resume: "yes" }), onThread(thread));
        const both = await at(graph, thread, 4);
        const code = (wanted: string, text: RegExp) => (error: unknown) =>
          isHoldfastError(error, wanted) && text.test(error.message);
        const checkpointId = both.checkpointId;
        await expect(
          fork(graph, thread, { checkpointId, update: { topic: "sand" } }),
        ).rejects.toSatisfy(code("INVALID_INPUT", /Ambiguous update/));
        await expect(
          fork(graph, thread, { checkpointId, update: {}, asNode: "nobody" }),
        ).rejects.toSatisfy(code("INVALID_INPUT", /nobody/));
        await expect(fork(graph, thread, { checkpointId: "nowhere" })).rejects.toSatisfy(
          code("NOT_FOUND", /nowhere/),
        );
        await expect(rewind(graph, newThread(), { checkpointId })).rejects.toSatisfy(
          code("NOT_FOUND", /thread/),
        );
      });

      it("fork a subgraph's state together with the graphs around it", async () => {
        const ran: string[] = [];
        const graph = nestedGraph(saver, ran);
        const thread = newThread();
        await graph.invoke({ n: 1 }, onThread(thread));
        // The thread goes on to its end before the past is forked.
        await graph.invoke(new Command({ resume: "yes" }), onThread(thread));
        const before = await frozen(graph, thread);
        const drafted = (await collect(history(graph, thread, { namespace: "*" }))).find(
          ({ node }) => node === "draft",
        );
        if (drafted === undefined) throw new Error("no draft");
        const { namespace, checkpointId } = drafted;

        for (const n of [2, 3]) {
          ran.length = 0;
          const branch = await fork(graph, thread, { checkpointId, namespace, update: { n } });
          expect(branch.namespace).not.toBe(namespace);
          const asked = await graph.invoke(null, branch.config);
          expect(JSON.stringify(asked)).toContain(`publish ${n}?`);
          const end = await graph.invoke(new Command({ resume: "yes" }), onThread(thread));
          expect(end.log).toContain(`yes:${n}`);
          expect(ran).toEqual([`confirm:${n}`, `leave:${n}`, `after:${n}`]);
        }
        const copy = await rewind(graph, thread, { checkpointId, namespace });
        ran.length = 0;
        expect(JSON.stringify(await graph.invoke(null, onThread(thread)))).toContain("publish 1?");
        const end = await graph.invoke(new Command({ resume: "ok" }), onThread(thread));
        expect(end.log).toContain("ok:1");
        expect(ran).toEqual(["confirm:1", "leave:1", "after:1"]);
        expect(copy.forkedFrom).toEqual({ threadId: thread, namespace, checkpointId });

        const after = await frozen(graph, thread);
        for (const [id, state] of before) expect(after.get(id), id).toEqual(state);
      });

      it("fork a subgraph that keeps its state, for all branches", async () => {
        const ran: string[] = [];
        const graph = askingGraph(saver, { isKept: true }, ran);
        const thread = newThread();
        await graph.invoke({ n: 1 }, onThread(thread));
        const [thought] = await collect(history(graph, thread, { namespace: "ask" }));
        const { checkpointId = "" } = thought ?? {};
        const update = { n: 9 };
        const branch = await fork(graph, thread, { checkpointId, namespace: "ask", update });
        expect(branch.namespace).toBe("ask");
        expect(JSON.stringify(await graph.invoke(null, branch.config))).toContain("say 9?");
        const end = await graph.invoke(new Command({ resume: "yes" }), onThread(thread));
        expect(end.log).toEqual(["think:1", "yes:9"]);
        expect(ran).toEqual(["think:1", "say:9"]);
      });

      it("refuse one of several runs of a subgraph in one task", async () => {
        const graph = askingGraph(saver, { times: 2 });
        const thread = newThread();
        await graph.invoke({ n: 1 }, onThread(thread));
        await graph.invoke(new Command({ resume: "yes" }), onThread(thread));
        const second = (await collect(history(graph, thread, { namespace: "*" }))).find(
          ({ namespace }) => namespace.endsWith("|1"),
        );
        const { checkpointId = "", namespace = "" } = second ?? {};
        await expect(fork(graph, thread, { checkpointId, namespace })).rejects.toSatisfy(
          (error) => isHoldfastError(error, "INVALID_INPUT") && /several runs/.test(error.message),
        );
      });

      it("fork threads with a DeltaChannel", async () => {
        const graph = deltaGraph(saver);
        const thread = newThread();
        await graph.invoke({ n: 1, log: ["in"] }, onThread(thread));
        const { checkpointId } = await at(graph, thread, 1);
        const copy = await fork(graph, thread, { checkpointId });
        expect((await graph.getState(copy.config)).values).toEqual({
          n: 1,
          log: ["in", "first:1"],
        });
        expect((await graph.invoke(null, copy.config)).log).toEqual([
          ...["in", "first:1", "second:1", "third:1"],
        ]);
        if (!deltaForks) return;
        const changed = await fork(graph, thread, { checkpointId, update: { n: 2, log: ["new"] } });
        expect((await graph.invoke(null, changed.config)).log).toEqual([
          ...["in", "first:1", "new", "second:2", "third:2"],
        ]);
      });
    });
  });
}

async function at(
  graph: Parameters<typeof history>[0],
  thread: string,
  step: number,
): Promise<HistoryPoint> {
  for await (const point of history(graph, thread)) if (point.step === step) return point;
  throw new Error(`No state at step ${step}`);
}

/** Every state as told, but for its branch, which depends on where the head is. */
async function frozen(
  graph: Parameters<typeof history>[0],
  thread: string,
): Promise<Map<string, unknown>> {
  const states = new Map<string, unknown>();
  for await (const point of history(graph, thread, { namespace: "*" })) {
    const { namespace, checkpointId, branch: _, ...told } = point;
    states.set(JSON.stringify([namespace, checkpointId]), structuredClone(told));
  }
  return states;
}
