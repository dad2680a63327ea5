/** Sources that are old, foreign or damaged. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, MemorySaver } from "@langchain/langgraph";
import { SqliteSaver as OfficialSqliteSaver } from "@langchain/langgraph-checkpoint-sqlite";
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { describe, expect, it, onTestFinished } from "vitest";
import { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import { history, importThreads, importedVersion } from "../../src/history/index.ts";
import { chainGraph, collect, onThread, researchGraph } from "../conformance/history-graphs.ts";

function sqlite(path = ":memory:"): SqliteSaver {
  const saver = SqliteSaver.fromConnString(path);
  onTestFinished(() => saver.end());
  return saver;
}

describe("a damaged source", () => {
  async function damaged(sql: string) {
    const from = OfficialSqliteSaver.fromConnString(":memory:");
    for (const id of ["a", "bad", "c"]) await chainGraph(from).invoke({ n: 1 }, onThread(id));
    from.db.prepare(sql).run();
    return from;
  }

  it.each([
    ["checkpoint", "UPDATE checkpoints SET checkpoint = X'7B00FF' WHERE thread_id = 'bad'"],
    ["metadata", "UPDATE checkpoints SET metadata = X'00' WHERE thread_id = 'bad'"],
    ["write", "UPDATE writes SET value = X'7B' WHERE thread_id = 'bad'"],
    [
      "row in the middle",
      `UPDATE checkpoints SET checkpoint = X'00' WHERE rowid =
         (SELECT rowid FROM checkpoints WHERE thread_id = 'bad' ORDER BY checkpoint_id LIMIT 1 OFFSET 2)`,
    ],
  ])("costs its own thread only: %s", async (_, sql) => {
    const from = await damaged(sql);
    const to = sqlite();
    const { failed, ...counts } = await importThreads(from, to);
    expect(counts).toEqual({ threads: 2, checkpoints: 10, writes: 14, skipped: 0 });
    expect(failed.map(({ threadId }) => threadId)).toEqual(["bad"]);
    expect(failed[0]?.error).toBeInstanceOf(Error);
    // Nothing of it: its head would be an older state than the one that was lost.
    expect(await collect(to.list(onThread("bad")))).toEqual([]);
    expect((await to.listThreads()).threads.map(({ threadId }) => threadId).toSorted()).toEqual([
      ...["a", "c"],
    ]);
  });

  it("that is some other saver's is named as such", async () => {
    class Failing extends MemorySaver {
      override async *list(): AsyncGenerator<CheckpointTuple> {
        yield* super.list({ configurable: { thread_id: "a" } });
        throw new Error("row 7 is damaged");
      }
    }
    const from = new Failing();
    await chainGraph(from).invoke({ n: 1 }, onThread("a"));
    await expect(importThreads(from, new MemorySaver())).rejects.toMatchObject({
      code: "CORRUPT_DATA",
      message: expect.stringMatching(/1 threads.*threadIds/s) as string,
    });
    const { failed } = await importThreads(from, new MemorySaver(), { threadIds: ["a"] });
    expect(failed).toMatchObject([{ threadId: "a", error: { message: "row 7 is damaged" } }]);
  });
});

describe("an old source", () => {
  /** As LangGraph 0.2 left it: `Send` packets among the writes of the parent, none in a channel. */
  async function oldThread(): Promise<MemorySaver> {
    const from = new MemorySaver();
    await researchGraph(from).invoke({ topic: "kelp" }, onThread("old"));
    const stored = from.storage["old"]?.[""] ?? {};
    const planned = (await collect(history(from, "old"))).find(({ step }) => step === 1);
    for (const id of Object.keys(stored)) {
      if (id > String(planned?.checkpointId)) {
        delete stored[id];
        continue;
      }
      const [bytes, ...rest] = stored[id] ?? [];
      const checkpoint = JSON.parse(
        new TextDecoder().decode(bytes),
      ) as CheckpointTuple["checkpoint"];
      checkpoint.v = 1;
      delete checkpoint.channel_values["__pregel_tasks"];
      delete checkpoint.channel_versions["__pregel_tasks"];
      stored[id] = [new TextEncoder().encode(JSON.stringify(checkpoint)), ...rest] as never;
    }
    from.writes = Object.fromEntries(
      Object.entries(from.writes).filter(([key]) => !key.includes(String(planned?.checkpointId))),
    );
    return from;
  }

  it("brings its pending sends over in today's format", async () => {
    const from = await oldThread();
    const to = sqlite();
    expect((await importThreads(from, to)).failed).toEqual([]);
    const head = await to.getTuple(onThread("old"));
    expect(head?.checkpoint.v).toBe(4);
    expect(head?.checkpoint.channel_values["__pregel_tasks"]).toMatchObject([
      { node: "search", args: { query: "x" } },
      { node: "search", args: { query: "y" } },
    ]);
    const ran: string[] = [];
    const graph = researchGraph(to, ran);
    await graph.invoke(null, onThread("old"));
    expect(ran).toEqual(["search", "search", "ask"]);
    await graph.invoke(new Command({ resume: "yes" }), onThread("old"));
    expect(ran.slice(3)).toEqual(["ask", "a", "b", "join"]);
  });
});

describe("channel versions", () => {
  it("become holdfast's, whoever counted them", () => {
    const zeros = "0000000000";
    expect(importedVersion(1)).toBe(`0000000001${zeros}`);
    expect(importedVersion(255)).toBe(`00000000ff${zeros}`);
    expect(importedVersion("00000000000000000000000000000012.0.4837")).toBe(`000000000c${zeros}`);
    expect(importedVersion("7")).toBe(`0000000007${zeros}`);
    expect(importedVersion("000000000cab12ab12ab")).toBe("000000000cab12ab12ab");
    for (const odd of [1.5, -1, Number.NaN, "", "v1", "1e3", "0x10"]) {
      expect(() => importedVersion(odd), String(odd)).toThrow(/channel version/);
    }
  });

  it("keep their order", () => {
    const counters = [0, 1, 9, 10, 15, 16, 99, 100, 255, 256, 4_095, 65_536, 1e9];
    const versions = counters.map(importedVersion);
    expect(versions.toSorted()).toEqual(versions);
  });

  it("of LangGraph Python let the thread run on", async () => {
    class PythonSaver extends MemorySaver {}
    Object.assign(PythonSaver.prototype, {
      getNextVersion: (current?: string) =>
        `${String(Number.parseInt(current ?? "0", 10) + 1).padStart(32, "0")}.0.${"4837".padStart(16, "0")}`,
    });
    const from = new PythonSaver();
    await researchGraph(from).invoke({ topic: "kelp" }, onThread("py"));
    for (const to of [sqlite(), new MemorySaver()]) {
      expect((await importThreads(from, to)).failed).toEqual([]);
      const ran: string[] = [];
      const end = await researchGraph(to, ran).invoke(
        new Command({ resume: "yes" }),
        onThread("py"),
      );
      expect(end.found).toEqual(["found x", "found y", "told yes", "a", "b"]);
      expect(ran).toEqual(["ask", "a", "b", "join"]);
    }
  });

  it("that cannot be read cost their own thread only", async () => {
    const from = new MemorySaver();
    await chainGraph(from).invoke({ n: 1 }, onThread("a"));
    const { checkpoint, metadata, config } = (await from.getTuple(
      onThread("a"),
    )) as CheckpointTuple;
    checkpoint.channel_versions = { n: "newest" };
    const other = { configurable: { ...config.configurable, thread_id: "odd" } };
    if (metadata !== undefined) await from.put(other, checkpoint, metadata);
    const { failed, threads } = await importThreads(from, sqlite());
    expect(threads).toBe(1);
    expect(failed).toMatchObject([{ threadId: "odd", error: { code: "INVALID_INPUT" } }]);
  });
});

describe("importing", () => {
  it("puts parents first, even where a clock went back", async () => {
    const from = new MemorySaver();
    await chainGraph(from).invoke({ n: 1 }, onThread("a"));
    const [head] = await collect(from.list(onThread("a")));
    if (head?.metadata === undefined) throw new Error("no head");
    // A child whose id is older than its parent's.
    const id = "1ef00000-0000-6000-8000-000000000000";
    await from.put(head.config, { ...head.checkpoint, id }, head.metadata);
    const order: string[] = [];
    class Watched extends MemorySaver {
      override put(...args: Parameters<MemorySaver["put"]>): ReturnType<MemorySaver["put"]> {
        order.push(args[1].id);
        return super.put(...args);
      }
    }
    const to = new Watched();
    await importThreads(from, to);
    expect(order).toHaveLength(6);
    expect(order.indexOf(id)).toBeGreaterThan(order.indexOf(head.checkpoint.id));
  });

  it("says so when a part of a thread could not be taken back", async () => {
    const from = OfficialSqliteSaver.fromConnString(":memory:");
    await chainGraph(from).invoke({ n: 1 }, onThread("a"));
    class Stuck extends MemorySaver {
      override putWrites(): Promise<void> {
        return Promise.reject(new Error("disk full"));
      }
      override deleteThread(): Promise<void> {
        return Promise.reject(new Error("disk full"));
      }
    }
    const { failed } = await importThreads(from, new Stuck());
    expect(failed).toMatchObject([
      { threadId: "a", error: { message: expect.stringContaining("in part") as string } },
    ]);
  });

  it("refuses a saver as its own source", async () => {
    const saver = new MemorySaver();
    await expect(importThreads(saver, saver)).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  it("works within one file, beside the official saver's tables", async () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-import-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const path = join(folder, "agents.db");
    const from = OfficialSqliteSaver.fromConnString(path);
    onTestFinished(() => from.db.close() as never);
    await chainGraph(from).invoke({ n: 1 }, onThread("a"));
    const notices: string[] = [];
    const to = SqliteSaver.fromConnString(path, { onNotice: (text) => notices.push(text) });
    onTestFinished(() => to.end());
    expect(await importThreads(from, to)).toMatchObject({ threads: 1, checkpoints: 5 });
    expect(notices).toHaveLength(1);
    expect((await chainGraph(to).getState(onThread("a"))).values).toEqual(
      (await chainGraph(from).getState(onThread("a"))).values,
    );
  });

  it("takes threads from a stream of ids, each once", async () => {
    const from = new MemorySaver();
    for (const id of ["a", "b"]) await chainGraph(from).invoke({ n: 1 }, onThread(id));
    const ids = async function* () {
      yield "b";
      yield await Promise.resolve("b");
    };
    const to = new MemorySaver();
    expect(await importThreads(from, to, { threadIds: ids() })).toMatchObject({ threads: 1 });
    expect(Object.keys(to.storage)).toEqual(["b"]);
  });
});
