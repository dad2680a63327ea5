/** How often, and in which order, the savers write; counted at the database. */

import { Annotation, Send, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it, onTestFinished } from "vitest";
import { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import { faultySqlite, type FaultySqlite } from "../support/faulty-sqlite.ts";
import { newFile } from "../support/places.ts";
import { chain, onThread, syncRun, wholeLog } from "../support/small-graphs.ts";

async function openCounted(): Promise<{ db: FaultySqlite; saver: SqliteSaver }> {
  const db = faultySqlite(newFile());
  const saver = new SqliteSaver(db);
  onTestFinished(() => saver.end());
  // What a saver does once: its tables, the first block of version ids.
  await chain(saver, 1).invoke({ log: [] }, syncRun("before"));
  db.commits = 0;
  return { db, saver };
}

describe("a run by itself", () => {
  it("takes one commit for each checkpoint, with the writes that went into it", async () => {
    const { db, saver } = await openCounted();
    const length = 10;
    await chain(saver, length).invoke({ log: [] }, syncRun("t"));
    // One for the thread, one for its input, one for each superstep; and the start's own.
    expect(await Array.fromAsync(saver.list(onThread("t")))).toHaveLength(length + 2);
    expect(db.commits).toBeLessThanOrEqual(length + 3);
  });

  it("takes one commit for a superstep of many tasks that end together", async () => {
    const { db, saver } = await openCounted();
    const State = Annotation.Root({
      found: Annotation<number[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
    });
    const graph = new StateGraph(State)
      .addNode("plan", () => ({}))
      .addNode("search", ({ n }: { n: number }) => ({ found: [n] }))
      .addEdge(START, "plan")
      .addConditionalEdges("plan", () =>
        Array.from({ length: 30 }, (_, n) => new Send("search", { n })),
      )
      .compile({ checkpointer: saver });
    await graph.invoke({ found: [] }, syncRun("t"));
    expect(db.commits).toBeLessThanOrEqual(2 + 2 + 1);
  });

  it("asks for no commit to read", async () => {
    const { db, saver } = await openCounted();
    await saver.getTuple(onThread("before"));
    await Array.fromAsync(saver.list(onThread("before")));
    await saver.listThreads();
    await saver.stats();
    expect(db.commits).toBe(0);
  });
});

describe("concurrent runs", () => {
  it("share their commits", async () => {
    const { db, saver } = await openCounted();
    const threads = 20;
    const length = 20;
    const states = await Promise.all(
      Array.from({ length: threads }, (_, i) =>
        chain(saver, length).invoke({ log: [] }, syncRun(`t${i}`)),
      ),
    );
    for (const state of states) expect(state.log).toEqual(wholeLog(length));
    // Each thread's own row first; then, of 20 x 22 checkpoints, about 20 go together.
    expect(db.commits - threads).toBeLessThan((threads * (length + 2)) / 5);
  });
});

describe("the order on disk", () => {
  interface Trace {
    /** Number of the commit, then of the row in it. */
    at: [commit: number, row: number];
    kind: "checkpoint" | "write";
    checkpoint: string;
    parent: string | undefined;
  }

  /** The rows in the order in which they are written. */
  function trace(db: FaultySqlite): Trace[] {
    const rows: Trace[] = [];
    db.onWrite = (sql, parameters) => {
      const name = (position: number): string => String(parameters[position]);
      const at: Trace["at"] = [db.commits, rows.length];
      if (sql.includes("INTO holdfast_checkpoints"))
        rows.push({ at, kind: "checkpoint", checkpoint: name(2), parent: name(3) });
      if (sql.includes("INTO holdfast_pending_writes"))
        rows.push({ at, kind: "write", checkpoint: name(2), parent: undefined });
    };
    return rows;
  }

  it.each(["sync", "async"] as const)(
    "has a task's writes before, or with, the checkpoint that consumed them (%s)",
    async (durability) => {
      const { db, saver } = await openCounted();
      const rows = trace(db);
      await Promise.all(
        Array.from({ length: 5 }, (_, i) =>
          chain(saver, 8, async () => {
            for (let turns = i; turns > 0; turns -= 1)
              await new Promise((resolve) => void setImmediate(resolve));
          }).invoke({ log: [] }, { ...syncRun(`t${i}`), durability }),
        ),
      );
      const checkpoints = rows.filter(({ kind }) => kind === "checkpoint");
      expect(checkpoints).toHaveLength(5 * 10);
      for (const checkpoint of checkpoints) {
        const writes = rows.filter(
          (row) => row.kind === "write" && row.checkpoint === checkpoint.parent,
        );
        const isInput = checkpoint.parent === "null";
        expect(writes.length > 0).toBe(!isInput);
        for (const { at } of writes) expect(at[0]).toBeLessThanOrEqual(checkpoint.at[0]);
      }
    },
  );
});
