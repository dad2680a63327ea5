/** What `importThreads` must keep, from any saver into any other, as a suite. */

import { Command } from "@langchain/langgraph";
import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fork, history, importThreads } from "../../src/history/index.ts";
import type { ImportProgress } from "../../src/history/index.ts";
import type { SaverUnderTest } from "./history.ts";
import {
  chainGraph,
  collect,
  deltaGraph,
  nestedGraph,
  onThread,
  researchGraph,
} from "./history-graphs.ts";
import type { Saver } from "./history-graphs.ts";

type Open = () => Promise<SaverUnderTest> | SaverUnderTest;

export interface ImportSuiteOptions {
  /** Both sides keep forks of a `DeltaChannel` apart. */
  deltaForks: boolean;
  /** The source keeps forks apart at all; default true. The official Postgres saver does not. */
  sourceForks?: boolean;
}

export function importSuite(
  name: string,
  openSource: Open,
  openTarget: Open,
  { deltaForks, sourceForks = true }: ImportSuiteOptions,
): void {
  describe(`import from ${name}`, () => {
    let source: SaverUnderTest;
    let target: SaverUnderTest;
    let from: Saver;
    let to: Saver;
    let threads = 0;
    const newThread = (): string => `thread-${++threads}`;
    beforeAll(async () => {
      source = await openSource();
      target = await openTarget();
      from = source.saver;
      to = target.saver;
    });
    afterAll(async () => {
      await source.close?.();
      await target.close?.();
    });

    const importOne = async (thread: string) => {
      const result = await importThreads(from, to, { threadIds: [thread] });
      expect(result.failed).toEqual([]);
      return result;
    };

    it("keeps every state, write, parent and id, and is repeatable", async () => {
      const thread = newThread();
      const graph = researchGraph(from);
      await graph.invoke({ topic: "kelp" }, onThread(thread));
      await graph.invoke(new Command({ resume: "yes" }), onThread(thread));
      const planned = (await collect(history(graph, thread))).find(({ step }) => step === 1);
      const branch = await fork(graph, thread, {
        checkpointId: planned?.checkpointId ?? "",
        update: { outline: "another" },
      });
      await graph.invoke(null, branch.config);

      const stored = await dump(from, thread);
      const first = await importOne(thread);
      expect(first).toMatchObject({ threads: 1, checkpoints: stored.length, skipped: 0 });
      expect(first.writes).toBe(stored.flatMap(({ writes }) => writes).length);
      expect(await dump(to, thread)).toEqual(stored);
      expect(await collect(history(researchGraph(to), thread))).toEqual(
        await collect(history(graph, thread)),
      );
      expect((await researchGraph(to).getState(onThread(thread))).values).toEqual(
        (await graph.getState(onThread(thread))).values,
      );

      const versions = await dumpVersions(to, thread);
      expect(await importOne(thread)).toMatchObject({
        ...{ threads: 0, checkpoints: 0, writes: 0, skipped: stored.length },
      });
      expect(await dump(to, thread)).toEqual(stored);
      expect(await dumpVersions(to, thread)).toEqual(versions);
    });

    it("answers a question that was asked before the import", async () => {
      const thread = newThread();
      const asked = await researchGraph(from).invoke({ topic: "kelp" }, onThread(thread));
      await importOne(thread);
      const ran: string[] = [];
      const graph = researchGraph(to, ran);
      const [task] = (await graph.getState(onThread(thread))).tasks;
      expect(JSON.stringify(asked)).toContain(String(task?.interrupts[0]?.id));
      const end = await graph.invoke(new Command({ resume: "yes" }), onThread(thread));
      expect(end.found).toEqual(["found x", "found y", "told yes", "a", "b"]);
      expect(ran).toEqual(["ask", "a", "b", "join"]);
    });

    it("goes on after a failure without running finished siblings again", async () => {
      const thread = newThread();
      const failing = researchGraph(from, [], { isDown: true });
      await failing.invoke({ topic: "kelp" }, onThread(thread));
      await expect(
        failing.invoke(new Command({ resume: "yes" }), onThread(thread)),
      ).rejects.toThrow("down");
      await importOne(thread);
      const ran: string[] = [];
      const end = await researchGraph(to, ran).invoke(null, onThread(thread));
      expect(end.found).toEqual(["found x", "found y", "told yes", "a", "b"]);
      expect(ran).toEqual(["b", "join"]);
    });

    it("keeps the results of a task that had failed before", async () => {
      const thread = newThread();
      await researchGraph(from).invoke({ topic: "kelp" }, onThread(thread));
      const failing = researchGraph(from, [], { isDown: true });
      await expect(
        failing.invoke(new Command({ resume: "yes" }), onThread(thread)),
      ).rejects.toThrow("down");
      await researchGraph(from).invoke(null, onThread(thread));
      await importOne(thread);
      const stored = await dump(from, thread);
      expect(JSON.stringify(stored)).toContain("__error__");
      expect(await dump(to, thread)).toEqual(stored);
    });

    it("goes on, forks and is asked for its next turn, as the source would", async () => {
      const thread = newThread();
      const original = chainGraph(from);
      await original.invoke({ n: 1 }, onThread(thread));
      await importOne(thread);
      const imported = chainGraph(to);
      for (const graph of sourceForks ? [original, imported] : [imported]) {
        const [, , first] = await collect(history(graph, thread));
        const { checkpointId = "" } = first ?? {};
        const branch = await fork(graph, thread, { checkpointId, update: { n: 5 } });
        expect((await graph.invoke(null, branch.config)).log).toEqual([
          ...["first:1", "second:5", "third:5"],
        ]);
        expect((await graph.invoke({ n: 6 }, onThread(thread))).log.slice(3)).toEqual([
          ...["first:6", "second:6", "third:6"],
        ]);
        // Without `asNode`: the versions still tell which node ran last.
        await graph.updateState(onThread(thread), { n: 7 });
        expect((await graph.getState(onThread(thread))).next).toEqual([]);
      }
      const told = async (graph: typeof original) =>
        (await collect(history(graph, thread))).map(({ step, node, changed, values }) => [
          ...[step, node, changed, values],
        ]);
      const expected = await told(sourceForks ? original : imported);
      expect(expected).toHaveLength(14);
      expect(await told(imported)).toEqual(expected);
    });

    it("brings subgraphs along, and their questions", async () => {
      const thread = newThread();
      await nestedGraph(from).invoke({ n: 1 }, onThread(thread));
      const stored = await dump(from, thread);
      expect(new Set(stored.map(({ namespace }) => namespace)).size).toBe(3);
      await importOne(thread);
      expect(await dump(to, thread)).toEqual(stored);
      const ran: string[] = [];
      const end = await nestedGraph(to, ran).invoke(
        new Command({ resume: "yes" }),
        onThread(thread),
      );
      expect(ran).toEqual(["confirm:1", "leave:1", "after:1"]);
      expect(end.log).toContain("yes:1");
    });

    it("brings a DeltaChannel's snapshots and writes along", async () => {
      const thread = newThread();
      const original = deltaGraph(from);
      for (const n of [1, 2, 3]) await original.invoke({ n, log: [`in:${n}`] }, onThread(thread));
      await original.updateState(onThread(thread), { log: ["by hand"] }, "third");
      await original.invoke({ n: 4 }, onThread(thread));
      await importOne(thread);
      const imported = deltaGraph(to);
      const points = await collect(history(original, thread));
      expect(await collect(history(imported, thread))).toEqual(points);
      const end = await imported.invoke({ n: 5 }, onThread(thread));
      expect(end.log).toEqual([
        ...[1, 2, 3].flatMap((n) => [`in:${n}`, `first:${n}`, `second:${n}`, `third:${n}`]),
        "by hand",
        ...[4, 5].flatMap((n) => [`first:${n}`, `second:${n}`, `third:${n}`]),
      ]);
    });

    const keeping = deltaForks ? it : undefined;
    keeping?.("keeps forks of a DeltaChannel apart", async () => {
      const thread = newThread();
      const original = deltaGraph(from);
      await original.invoke({ n: 1, log: ["in"] }, onThread(thread));
      const { checkpointId = "" } =
        (await collect(history(original, thread))).find(({ step }) => step === 1) ?? {};
      for (const n of [2, 3]) {
        const update = { n, log: [`fork:${n}`] };
        const branch = await fork(original, thread, { checkpointId, update });
        await original.invoke(null, branch.config);
      }
      await importOne(thread);
      const copy = await fork(original, thread, { checkpointId });
      await original.invoke(null, copy.config);
      const late = await fork(original, thread, { checkpointId, update: { log: ["late"] } });
      await original.invoke(null, late.config);
      // LangGraph's own travel copies the state, as a child that took none of its parent's writes.
      for (const { checkpointId: id } of (await collect(history(original, thread))).slice(-3)) {
        await original.invoke(null, { configurable: { thread_id: thread, checkpoint_id: id } });
      }
      await importOne(thread);
      const values = async (graph: typeof original) =>
        (await collect(history(graph, thread))).map((point) => point.values);
      expect(await values(deltaGraph(to))).toEqual(await values(original));
    });

    it("brings over what the source has gained since, unless the target has gone on too", async () => {
      const thread = newThread();
      const original = researchGraph(from);
      await original.invoke({ topic: "kelp" }, onThread(thread));
      await importOne(thread);
      await original.invoke(new Command({ resume: "yes" }), onThread(thread));
      const gained = await importOne(thread);
      expect(gained).toMatchObject({ threads: 1, checkpoints: 3, skipped: 3 });
      expect(await dump(to, thread)).toEqual(await dump(from, thread));

      await researchGraph(to).invoke({ topic: "sand" }, onThread(thread));
      const ahead = await dump(to, thread);
      expect(await importOne(thread)).toMatchObject({ threads: 0, checkpoints: 0, writes: 0 });
      await original.invoke({ topic: "rock" }, onThread(thread));
      const { failed, ...counts } = await importThreads(from, to, { threadIds: [thread] });
      expect(counts).toEqual({ threads: 0, checkpoints: 0, writes: 0, skipped: 0 });
      expect(failed).toMatchObject([{ threadId: thread, error: { code: "INVALID_INPUT" } }]);
      expect(await dump(to, thread)).toEqual(ahead);
    });

    it("stops when aborted, and leaves no half thread behind", async () => {
      const thread = newThread();
      await chainGraph(from).invoke({ n: 1 }, onThread(thread));
      const stop = new AbortController();
      await expect(
        importThreads(from, to, {
          threadIds: [thread],
          signal: stop.signal,
          onProgress: ({ checkpoints }) => {
            if (checkpoints === 3) stop.abort(new Error("enough"));
          },
        }),
      ).rejects.toThrow("enough");
      expect(await dump(to, thread)).toEqual([]);
      expect(await importOne(thread)).toMatchObject({ threads: 1, checkpoints: 5 });
    });

    it("tells how far it is, and what it could not find", async () => {
      const told: ImportProgress[] = [];
      const threadIds = [newThread(), "nobody", newThread()];
      for (const id of [threadIds[0], threadIds[2]]) {
        await chainGraph(from).invoke({ n: 1 }, onThread(String(id)));
      }
      const { failed, ...counts } = await importThreads(from, to, {
        threadIds,
        onProgress: (progress) => told.push(progress),
      });
      expect(counts).toMatchObject({ threads: 2, checkpoints: 10, skipped: 0 });
      expect(failed).toMatchObject([{ threadId: "nobody", error: { code: "NOT_FOUND" } }]);
      expect(told.filter(({ done }) => done > 0)[0]).toMatchObject({ done: 1, total: 3 });
      expect(told.at(-1)).toMatchObject({ ...counts_of(counts), done: 3, threadId: threadIds[2] });
    });

    it("brings over all threads when none are named, whatever their ids", async () => {
      const odd = ["%", "a'b\"c", "*", "día ☃ 😀", "x".repeat(2_000), " ", "..", "thread-1%"];
      for (const id of odd) await chainGraph(from).invoke({ n: 1 }, onThread(id));
      const { failed } = await importThreads(from, to);
      // Those that an earlier test let go on in both savers.
      expect(failed.every(({ error }) => /gone on/.test(String(error)))).toBe(true);
      for (const id of odd) expect(await dump(to, id), id).toEqual(await dump(from, id));
      for (let n = 1; n <= threads; n++) {
        expect((await dump(to, `thread-${n}`)).length).toBeGreaterThan(0);
      }
    });
  });
}

function counts_of<T extends object>(counts: T): Omit<T, "threads"> {
  const { threads: _, ...rest } = counts as T & { threads: unknown };
  return rest;
}

interface Stored {
  namespace: string;
  id: string;
  parent: unknown;
  metadata: unknown;
  values: unknown;
  /** Which channels have versions, and which nodes saw which; not which. */
  channels: string[];
  seen: Record<string, string[]>;
  writes: unknown[];
}

/** All that a saver holds of a thread, but for how it counts versions. */
async function dump(saver: Saver, thread: string): Promise<Stored[]> {
  const tuples = await collect(saver.list(onThread(thread)));
  return tuples
    .map(toStored)
    .toSorted((a, b) => compareText(a.namespace + a.id, b.namespace + b.id));
}

function toStored({ config, checkpoint, metadata, parentConfig, pendingWrites }: CheckpointTuple) {
  const sorted = (names: object): string[] => Object.keys(names).toSorted(compareText);
  const key = (write: unknown[]): string => `${String(write[0])} ${String(write[1])}`;
  return {
    namespace: String(config.configurable?.["checkpoint_ns"]),
    id: checkpoint.id,
    parent: parentConfig?.configurable?.["checkpoint_id"] as unknown,
    metadata,
    values: plain({ v: checkpoint.v, ts: checkpoint.ts, ...checkpoint.channel_values }),
    channels: sorted(checkpoint.channel_versions),
    seen: Object.fromEntries(
      Object.entries(checkpoint.versions_seen).map(([node, seen]) => [node, sorted(seen)]),
    ),
    // Writes of one task to one channel are in order, and the sort keeps them so.
    writes: (pendingWrites ?? [])
      .map((write) => plain(write) as unknown[])
      .toSorted((a, b) => compareText(key(a), key(b))),
  };
}

/** Some savers give `Send` packets back as such, others as what they hold. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, each: unknown) => (key === "lg_name" ? undefined : each)),
  );
}

async function dumpVersions(saver: Saver, thread: string): Promise<unknown> {
  const tuples = await collect(saver.list(onThread(thread)));
  return tuples.map(({ checkpoint }) => [checkpoint.channel_versions, checkpoint.versions_seen]);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
