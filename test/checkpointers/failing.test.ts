/** A database that fails in the middle of a run. */

import { Annotation, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it, onTestFinished } from "vitest";
import { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import { startChild } from "../support/child.ts";
import { faultySqlite, sqliteError, type FaultySqlite } from "../support/faulty-sqlite.ts";
import { dangling } from "../support/fsck.ts";
import { newFile, placeAt } from "../support/places.ts";
import { readTables } from "../support/raw-tables.ts";
import {
  chain,
  deltaChain,
  DeltaLog,
  onThread,
  putOne,
  syncRun,
  wholeLog,
} from "../support/small-graphs.ts";

function openFaulty(): { file: string; db: FaultySqlite; saver: SqliteSaver } {
  const file = newFile();
  const db = faultySqlite(file);
  const saver = new SqliteSaver(db);
  onTestFinished(() => saver.end());
  return { file, db, saver };
}

describe("a put that fails", () => {
  it.each([
    { durability: "sync", mayRun: 0 },
    { durability: "async", mayRun: 1 },
  ] as const)(
    "stops a run with durability $durability with the database's error",
    async ({ durability, mayRun }) => {
      for (let failing = 2; failing <= 7; failing += 1) {
        const { file, db, saver } = openFaulty();
        await saver.setup();
        const first = db.commits;
        const ioError = sqliteError(10, "disk I/O error");
        let ran = 0;
        let ranWhenFailing = 0;
        const graph = chain(saver, 8, () => void (ran += 1));
        db.onCommit = (count) => {
          if (count < first + failing) return;
          ranWhenFailing ||= ran;
          throw ioError;
        };
        const run = graph.invoke({ log: [] }, { ...syncRun("t"), durability });
        await expect(run).rejects.toMatchObject({ cause: ioError });
        expect(ran - ranWhenFailing).toBeLessThanOrEqual(mayRun);

        // The same saver works again as soon as the database does, and the thread goes on.
        db.onCommit = () => undefined;
        const before = await graph.getState(onThread("t"));
        const log = (before.values as { log?: string[] }).log ?? [];
        expect(log).toEqual(wholeLog(log.length));
        const input =
          before.config.configurable?.["checkpoint_id"] === undefined ? { log: [] } : null;
        expect((await graph.invoke(input, syncRun("t"))).log).toEqual(wholeLog(8));
        expect(dangling(await readTables(`sqlite:${file}`))).toEqual([]);
      }
    },
  );

  it.each(["sync", "async"] as const)(
    "for a moment only stops the run as well, with durability %s, and no history is lost",
    async (durability) => {
      for (let failing = 2; failing <= 7; failing += 1) {
        const { db, saver } = openFaulty();
        await saver.setup();
        const first = db.commits;
        const graph = chain(saver, 8);
        let failures = 0;
        db.onCommit = (count) => {
          if (count !== first + failing || failures > 0) return;
          failures += 1;
          throw sqliteError(10, "disk I/O error");
        };
        await graph
          .invoke({ log: [] }, { ...syncRun("t"), durability })
          .catch((error: unknown) => expect(String(error)).toContain("disk I/O error"));
        // Each state that is there has its parent: no checkpoint is missing in between.
        const history = await Array.fromAsync(saver.list(onThread("t")));
        const ids = new Set(history.map(({ checkpoint }) => checkpoint.id));
        for (const { parentConfig } of history) {
          if (parentConfig === undefined) continue;
          expect(ids).toContain(parentConfig.configurable?.["checkpoint_id"]);
        }
      }
    },
  );

  it.each(["sync", "async"] as const)(
    "for a moment only never takes anything out of a delta channel, with durability %s",
    async (durability) => {
      for (let failing = 2; failing <= 7; failing += 1) {
        const { db, saver } = openFaulty();
        await saver.setup();
        const first = db.commits;
        const graph = deltaChain(saver, 6);
        let failures = 0;
        db.onCommit = (count) => {
          if (count !== first + failing || failures > 0) return;
          failures += 1;
          throw sqliteError(10, "disk I/O error");
        };
        const config = { ...syncRun("t"), durability };
        await graph.invoke({ log: ["start"] }, config).catch(() => undefined);
        const { values } = await graph.getState(onThread("t"));
        const log = (values as { log?: string[] }).log ?? [];
        expect(log, `commit ${failing} failed`).toEqual(
          ["start", ...wholeLog(6)].slice(0, log.length),
        );
        if (log.length === 0) continue;
        await graph.invoke(null, syncRun("t"));
        const after = await graph.getState(onThread("t"));
        expect(after.values, `commit ${failing} failed`).toEqual({
          log: ["start", ...wholeLog(6)],
        });
      }
    },
  );
});

describe("after a failure", () => {
  // Open: a loop is known by its config, so a failure sticks to a config object that is used again.
  it("the very same config may be used again", async () => {
    const { db, saver } = openFaulty();
    const graph = chain(saver, 2);
    const config = { ...syncRun("t"), metadata: { user: "ada" } };
    await graph.invoke({ log: [] }, config);
    const root = { configurable: { thread_id: "u", checkpoint_ns: "" } };
    const uses: (() => Promise<unknown>)[] = [
      () => graph.invoke({ log: ["again"] }, config),
      () => graph.updateState(config, { log: ["updated"] }, "n2"),
      () => putOne(saver, "u", { value: 1 }, root),
    ];
    for (const use of uses) {
      db.onCommit = () => {
        throw sqliteError(10, "disk I/O error");
      };
      await expect(use()).rejects.toThrow(/disk I\/O error/);
      db.onCommit = () => undefined;
      await use();
    }
  });
});

describe("a write that fails", () => {
  it("takes a checkpoint that consumed it along, where its value lives in writes only", async () => {
    const { db, saver } = openFaulty();
    const graph = deltaChain(saver, 4);
    let failures = 0;
    // The result of n2 cannot be stored; all else can.
    db.onWrite = (sql, parameters) => {
      if (!sql.includes("INTO holdfast_pending_writes") || parameters.at(-1) !== '["n2"]') return;
      failures += 1;
      throw sqliteError(18, "string or blob too big");
    };
    await expect(graph.invoke({ log: ["start"] }, syncRun("t"))).rejects.toThrow(/too big/);
    expect(failures).toBeGreaterThan(0);
    expect((await graph.getState(onThread("t"))).values).toEqual({ log: ["start", "n1"] });
    db.onWrite = () => undefined;
    await graph.invoke(null, syncRun("t"));
    expect((await graph.getState(onThread("t"))).values).toEqual({
      log: ["start", ...wholeLog(4)],
    });
  });

  // Under "async", LangGraph reports the puts that fail with it as unhandled rejections of its own.
  it("long before the checkpoint that would consume it takes that along, too", async () => {
    const { db, saver } = openFaulty();
    let onFailure = (): void => undefined;
    const failure = new Promise<void>((resolve) => (onFailure = resolve));
    const failOnFast: FaultySqlite["onWrite"] = (_, parameters) => {
      if (parameters.at(-1) !== '["fast"]') return;
      onFailure();
      throw sqliteError(10, "disk I/O error");
    };
    db.onWrite = failOnFast;
    const graph = new StateGraph(DeltaLog)
      .addNode("fast", () => ({ log: ["fast"] }))
      .addNode("slow", async () => {
        await failure;
        for (let turn = 0; turn < 20; turn += 1)
          await new Promise((resolve) => void setImmediate(resolve));
        db.onWrite = () => undefined;
        return { log: ["slow"] };
      })
      .addNode("after", () => ({ log: ["after"] }))
      .addEdge(START, "fast")
      .addEdge(START, "slow")
      .addEdge(["fast", "slow"], "after")
      .compile({ checkpointer: saver });
    await expect(graph.invoke({ log: ["start"] }, syncRun("t"))).rejects.toThrow(/disk I\/O/);
    await graph.invoke(null, syncRun("t"));
    const { values } = await graph.getState(onThread("t"));
    expect((values as { log: string[] }).log.toSorted()).toEqual(
      ["start", "fast", "slow", "after"].toSorted(),
    );
  });

  it("beside a running sibling is no unhandled rejection", async () => {
    const child = startChild("fail-beside-sibling.ts", newFile());
    expect(await child.ended).toMatchObject({ code: 0, signal: null });
    const message = expect.stringContaining("disk I/O error") as string;
    expect(child.messages).toEqual([
      { type: "failed", error: expect.objectContaining({ message }) as object },
    ]);
  });
});

describe("a value that cannot be stored", () => {
  it.each(["sync", "async", "exit"] as const)(
    "fails the run cleanly with durability %s, and the thread stays as it was",
    async (durability) => {
      const place = placeAt(`sqlite:${newFile()}`);
      const State = Annotation.Root({ value: Annotation<unknown>(), other: Annotation<string>() });
      const build = (value: unknown) =>
        new StateGraph(State)
          .addNode("good", () => ({ other: "good" }))
          .addNode("bad", () => ({ value: { deep: [1, value] } }))
          .addEdge(START, "good")
          .addEdge("good", "bad")
          .compile({ checkpointer: place.open() });
      const config = { ...syncRun("t"), durability };
      await expect(build(() => 1).invoke({ other: "start" }, config)).rejects.toMatchObject({
        code: "UNSERIALIZABLE",
        channel: "value",
        path: ".deep[1]",
      });
      const healthy = build("a plain one");
      const { values } = await healthy.getState(onThread("t"));
      expect(values).toEqual(durability === "exit" ? {} : { other: "good" });
      await healthy.invoke(durability === "exit" ? { other: "start" } : null, syncRun("t"));
      expect((await healthy.getState(onThread("t"))).values).toEqual({
        other: "good",
        value: { deep: [1, "a plain one"] },
      });
    },
  );

  it("is refused in the input and in an update, by name", async () => {
    const saver = placeAt(`sqlite:${newFile()}`).open();
    const State = Annotation.Root({ value: Annotation<unknown>() });
    const graph = new StateGraph(State)
      .addNode("node", () => ({}))
      .addEdge(START, "node")
      .compile({ checkpointer: saver });
    const refused = { code: "UNSERIALIZABLE", channel: "value" };
    await expect(graph.invoke({ value: Symbol("s") }, syncRun("t"))).rejects.toMatchObject(refused);
    await graph.invoke({ value: 1 }, syncRun("t"));
    await expect(graph.updateState(onThread("t"), { value: () => 1 })).rejects.toMatchObject(
      refused,
    );
    expect((await graph.getState(onThread("t"))).values).toEqual({ value: 1 });
    await graph.updateState(onThread("t"), { value: 2 });
    expect((await graph.getState(onThread("t"))).values).toEqual({ value: 2 });
  });
});

describe("a bad member of a group commit", () => {
  it("fails alone", async () => {
    const { db, saver } = openFaulty();
    await saver.setup();
    db.onWrite = (sql, parameters) => {
      if (sql.includes("INTO holdfast_channel_versions") && parameters.some(isPoison))
        throw sqliteError(18, "string or blob too big");
    };
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) =>
        putOne(saver, `t${i}`, { value: i === 7 ? "poison" : `value ${i}` }),
      ),
    );
    expect(results.map(({ status }) => status)).toEqual(
      results.map((_, i) => (i === 7 ? "rejected" : "fulfilled")),
    );
    for (let i = 0; i < 20; i += 1) {
      const tuple = await saver.getTuple(onThread(`t${i}`));
      expect(tuple?.checkpoint.channel_values).toEqual(
        i === 7 ? undefined : { value: `value ${i}` },
      );
    }
  });
});

function isPoison(value: unknown): boolean {
  return String(value).includes("poison");
}
