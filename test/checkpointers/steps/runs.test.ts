/** Which run a checkpoint is in: found along real histories. */

import { Annotation, END, START, StateGraph, interrupt, Command } from "@langchain/langgraph";
import { MemorySaver, uuid6 } from "@langchain/langgraph-checkpoint";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { currentNode } from "../../../src/context.ts";
import type { RunStore } from "../../../src/step-store.ts";
import { memorySteps } from "../../../src/steps/memory.ts";
import { SqliteSaver } from "../../../checkpointers/sqlite/index.ts";
import { faultySqlite } from "../../support/faulty-sqlite.ts";
import { newFile, PLACES } from "../../support/places.ts";
import { chain, onThread, putOne, syncRun } from "../../support/small-graphs.ts";

type AnySaver = Parameters<typeof chain>[0];

/** Ids of the outermost graph's checkpoints, the oldest first, with their source. */
async function historyOf(saver: AnySaver, thread: string) {
  const tuples = await Array.fromAsync(
    saver.list({ configurable: { thread_id: thread, checkpoint_ns: "" } }),
  );
  return tuples
    .map(({ checkpoint, metadata }) => ({
      id: checkpoint.id,
      at: Date.parse(checkpoint.ts),
      source: metadata?.source,
    }))
    .toReversed();
}

/** A graph that stops once to ask, and whose nodes tell in which run they are. */
function asking(saver: AnySaver, runs: RunStore, seen: string[]) {
  const State = Annotation.Root({
    log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
  });
  const look = async (): Promise<void> => {
    const node = currentNode();
    seen.push((await runs.of(node?.task.threadId ?? "", node?.rootCheckpointId ?? "")).runId);
  };
  return new StateGraph(State)
    .addNode("a", async () => {
      await look();
      return { log: ["a"] };
    })
    .addNode("b", async () => {
      await look();
      interrupt("well?");
      await look();
      return { log: ["b"] };
    })
    .addEdge(START, "a")
    .addEdge("a", "b")
    .addEdge("b", END)
    .compile({ checkpointer: saver });
}

function runTests(open: () => { saver: AnySaver; runs: RunStore }): void {
  it("is the same from the input to the end, in every node and across an interrupt", async () => {
    const { saver, runs } = open();
    const seen: string[] = [];
    const graph = asking(saver, runs, seen);
    await graph.invoke({ log: [] }, syncRun("t"));
    // A process that saw nothing of it goes on.
    const other = open();
    await asking(other.saver, other.runs, seen).invoke(
      new Command({ resume: "yes" }),
      syncRun("t"),
    );
    const [input] = await historyOf(saver, "t");
    expect(input?.source).toBe("input");
    expect(seen).toEqual([input?.id, input?.id, input?.id, input?.id]);
    expect(await runs.of("t", input?.id ?? "")).toEqual({ runId: input?.id, startedAt: input?.at });
  });

  it("is another one for each input, whichever process looks, and from wherever", async () => {
    const { saver } = open();
    const graph = chain(saver, 40);
    await graph.invoke({ log: [] }, syncRun("t"));
    await graph.invoke({ log: [] }, syncRun("t"));
    const history = await historyOf(saver, "t");
    const inputs = history.filter(({ source }) => source === "input");
    expect(inputs).toHaveLength(2);
    let expected = history[0];
    for (const checkpoint of history) {
      if (checkpoint.source === "input") expected = checkpoint;
      const { runs } = open();
      expect(await runs.of("t", checkpoint.id)).toEqual({
        runId: expected?.id,
        startedAt: expected?.at,
      });
    }
    const { runs } = open();
    const last = history.at(-1)?.id ?? "";
    expect((await runs.of("t", last)).runId).toBe(inputs[1]?.id);
    expect((await runs.of("t", last)).runId).toBe(inputs[1]?.id);
  });

  it("counts from the oldest checkpoint where there is no input", async () => {
    const { saver } = open();
    const first = await putOne(saver, "t");
    const second = await putOne(saver, "t", {}, first);
    const third = await putOne(saver, "t", {}, second);
    for (const runs of [open().runs, open().runs]) {
      const run = await runs.of("t", third.configurable?.["checkpoint_id"] as string);
      expect(run.runId).toBe(first.configurable?.["checkpoint_id"]);
    }
  });

  it("is one of its own, now, for a checkpoint that is not stored", async () => {
    const { runs } = open();
    const id = uuid6(0);
    const before = Date.now();
    const { runId, startedAt } = await runs.of("never was", id);
    expect(runId).toBe(id);
    expect(startedAt).toBeGreaterThanOrEqual(before - 2);
    expect(startedAt).toBeLessThan(before + 5_000);
  });
}

describe.each(PLACES)("the run of a checkpoint on %s", (_, newPlace) => {
  let place: Awaited<ReturnType<typeof newPlace>>;
  beforeEach(async () => {
    place = await newPlace();
  });
  runTests(() => {
    const saver = place.open();
    return { saver, runs: saver.steps.runs };
  });

  it("is that of a fork's own ancestors", async () => {
    const saver = place.open();
    const graph = chain(saver, 3);
    await graph.invoke({ log: [] }, syncRun("t"));
    const [input, , second] = await historyOf(saver, "t");
    const fork = await graph.updateState(
      { configurable: { thread_id: "t", checkpoint_id: second?.id } },
      { log: ["x"] },
    );
    const id = fork.configurable?.["checkpoint_id"] as string;
    expect((await place.open().steps.runs.of("t", id)).runId).toBe(input?.id);
    expect((await saver.steps.runs.of("t", id)).runId).toBe(input?.id);
  });

  it("counts from the oldest checkpoint that a prune left", async () => {
    const saver = place.open();
    await chain(saver, 5).invoke({ log: [] }, syncRun("t"));
    await saver.prune(["t"], { keepLast: 2 });
    const [oldest, newest] = await historyOf(saver, "t");
    expect((await place.open().steps.runs.of("t", newest?.id ?? "")).runId).toBe(oldest?.id);
  });

  it("is found under any thread id", async () => {
    for (const thread of ["nul\0", "\ud800", "x".repeat(10_000)]) {
      const saver = place.open();
      await chain(saver, 20).invoke({ log: [] }, syncRun(thread));
      const history = await historyOf(saver, thread);
      const { runId } = await place.open().steps.runs.of(thread, history.at(-1)?.id ?? "");
      expect(runId).toBe(history[0]?.id);
    }
  });
});

describe("the run of a checkpoint beside another saver", () => {
  let saver: MemorySaver;
  beforeEach(() => {
    saver = new MemorySaver();
  });
  runTests(() => ({ saver, runs: memorySteps({ saver }).runs }));
});

it("costs no query for checkpoints that this saver put", async () => {
  const db = faultySqlite(newFile());
  const saver = new SqliteSaver(db);
  onTestFinished(() => saver.end());
  const walks: string[] = [];
  db.onRead = (sql) => {
    if (sql.includes("line")) walks.push(sql);
  };
  const seen: string[] = [];
  const graph = asking(saver, saver.steps.runs, seen);
  for (const durability of ["sync", "async"] as const) {
    const config = { ...onThread(durability), durability };
    await graph.invoke({ log: [] }, config);
    await graph.invoke(new Command({ resume: "yes" }), config);
    const [input] = await historyOf(saver, durability);
    expect(seen.splice(0)).toEqual([input?.id, input?.id, input?.id, input?.id]);
  }
  expect(walks).toEqual([]);
});

it("is one from begin to end also where nothing is stored until the end", async () => {
  for (const [, newPlace] of PLACES) {
    const saver = (await newPlace()).open();
    const seen: string[] = [];
    const graph = asking(saver, saver.steps.runs, seen);
    await graph.invoke({ log: [] }, { ...onThread("t"), durability: "exit" });
    expect(seen).toHaveLength(2);
    expect(new Set(seen).size).toBe(1);
  }
});
