/** What a run of a runtime costs in round trips to Postgres, beside its checkpoints. */

import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import pg from "pg";
import { expect, it, onTestFinished } from "vitest";
import { PostgresSaver } from "../../checkpointers/postgres/index.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { createDatabase } from "../support/databases.ts";

const State = Annotation.Root({ n: Annotation<number>() });

const graph = () =>
  new StateGraph(State)
    .addNode("one", ({ n }) => ({ n: n + 1 }))
    .addNode("two", ({ n }) => ({ n: n + 1 }))
    .addEdge(START, "one")
    .addEdge("one", "two")
    .addEdge("two", END)
    .compile();

/** What statements are for, by how they begin and which table they are about. */
const KINDS: [kind: string, what: RegExp][] = [
  ["turn", /^WITH taken AS/],
  ["look at a turn", /^SELECT t\.lease_owner/],
  ["commit", /^WITH wanted AS/],
  ["read of a run", /^SELECT r\.\*/],
  ["read of a checkpoint", /^WITH (RECURSIVE )?t AS/],
  ["thread made", /^WITH made AS/],
  ["transaction", /^(BEGIN|COMMIT)/],
];

function counting(url: string): { pool: pg.Pool; counts: () => Record<string, number> } {
  let counted: Record<string, number> = {};
  class Client extends pg.Client {
    constructor(config?: pg.ClientConfig) {
      super(config);
      const send = this.query.bind(this) as (...parameters: unknown[]) => unknown;
      this.query = ((query: { text?: string }, ...rest: unknown[]) => {
        const [kind] = KINDS.find(([, what]) => what.test(query.text?.trim() ?? "")) ?? [];
        if (kind !== undefined) counted[kind] = (counted[kind] ?? 0) + 1;
        return send(query, ...rest);
      }) as unknown as typeof this.query;
    }
  }
  const counts = (): Record<string, number> => {
    const before = counted;
    counted = {};
    return before;
  };
  return { pool: new pg.Pool({ connectionString: url, Client }), counts };
}

function runtimeOn(saver: PostgresSaver, worker?: false): Runtime {
  const runtime = createRuntime({
    ...{ saver, graphs: { graph: graph() } },
    ...(worker === false && { worker }),
  });
  onTestFinished(async () => {
    await runtime.close();
    await saver.end();
  });
  return runtime;
}

/** The input, two steps: each puts a checkpoint, together with what its tasks wrote before. */
const COMMITS = 4;

it("a run that is done where it was accepted takes three turns, and reads nothing", async () => {
  const { pool, counts } = counting(await createDatabase());
  const runtime = runtimeOn(new PostgresSaver(pool));
  const run = async (threadId: string): Promise<void> => {
    const { runId } = await runtime.start("graph", { n: 1 }, { threadId });
    expect(await runtime.result(runId)).toMatchObject({ status: "completed", values: { n: 3 } });
  };
  await run("first");
  counts();
  await run("new");
  expect(counts()).toEqual({ turn: 3, commit: COMMITS });
  // Its thread has a state by now, which is read, and once more after a node wrote to it.
  await run("new");
  const { turn, commit, "read of a checkpoint": reads } = counts();
  expect({ turn, commit }).toEqual({ turn: 3, commit: COMMITS });
  expect(reads).toBeLessThanOrEqual(2);
});

it("a run of another process is looked at once by who takes it", async () => {
  const url = await createDatabase();
  const accepting = counting(url);
  const working = counting(url);
  const front = runtimeOn(new PostgresSaver(accepting.pool), false);
  const back = runtimeOn(new PostgresSaver(working.pool), false);
  await front.start("graph", { n: 1 }, { threadId: "first" });
  accepting.counts();
  const { runId } = await front.start("graph", { n: 1 }, { threadId: "t" });
  expect(accepting.counts()).toEqual({ turn: 1 });
  await back.cancel((await back.runs({ threadId: "first" }))[0]?.runId ?? "");
  working.counts();
  await back.worker().start();
  expect(await back.result(runId)).toMatchObject({ values: { n: 3 } });
  const { "read of a run": _reads, ...counted } = working.counts();
  expect(counted).toEqual({ turn: 2, "look at a turn": 1, commit: COMMITS });
});
