import {
  Annotation,
  Command,
  END,
  START,
  StateGraph,
  getConfig,
  getWriter,
  interrupt,
  pushMessage,
  task,
  type LangGraphRunnableConfig,
} from "@langchain/langgraph";
import { RunnableLambda } from "@langchain/core/runnables";
import { AIMessage, type BaseMessage } from "@langchain/core/messages";
import { expect, test } from "vitest";
import { currentAttempt, currentSignal } from "../../src/context.ts";
import { durable } from "../../src/steps/durable.ts";
import { syncRun } from "../support/small-graphs.ts";
import { inMemory } from "./savers.ts";
import { trouble } from "./trouble.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
  messages: Annotation<BaseMessage[]>({ reducer: (a, b) => [a, b].flat(), default: () => [] }),
});
const step = durable.for(State);
const retry = { initialInterval: 1_000, jitter: "none" } as const;

type Body = (call: number, config: LangGraphRunnableConfig) => Promise<Partial<typeof State.State>>;

async function alone(body: Body, policy: Parameters<typeof durable.with>[0]) {
  const opened = await inMemory();
  let calls = 0;
  const graph = new StateGraph(State)
    .addNode(
      "a",
      step.with({ retry, ...policy })((_, config) => body((calls += 1), config)),
    )
    .addEdge(START, "a")
    .addEdge("a", END)
    .compile({ checkpointer: opened.saver });
  return { ...opened, graph };
}

/** A moment that a test ends. */
function gate(): { passed: Promise<void>; pass: () => void } {
  let pass = (): void => undefined;
  const passed = new Promise<void>((resolve) => (pass = resolve));
  return { passed, pass };
}

test("a timed-out attempt is told by every signal, and the next one begins", async () => {
  const reasons: unknown[] = [];
  const { graph, clock } = await alone(
    async (call, config) => {
      if (call > 1) return { log: [`call ${call}`] };
      const inner = RunnableLambda.from(async (_: string, own?: LangGraphRunnableConfig) => {
        for (const signal of [config.signal, own?.signal, getConfig().signal, currentSignal()]) {
          signal?.addEventListener("abort", () => reasons.push((signal.reason as Error).message));
        }
        await new Promise(() => undefined);
      });
      await inner.invoke("");
      return {};
    },
    { timeout: 30_000 },
  );
  expect(await clock.runUntil(graph.invoke({}, syncRun("t")))).toMatchObject({ log: ["call 2"] });
  expect(clock.asked).toEqual([30_000, 1_000, 30_000]);
  expect(reasons).toEqual(
    Array.from({ length: 4 }, () => 'Attempt 1 of "a" took longer than 30000 ms.'),
  );
});

test("nothing late of a timed-out attempt gets through", async () => {
  const late = gate();
  const over = gate();
  const outcomes: string[] = [];
  const child = task("child", async () => "called");
  const { graph, clock } = await alone(
    async (call, config) => {
      if (call === 1) {
        pushMessage(new AIMessage({ id: "early", content: "early" }), config);
        await late.passed;
        pushMessage(new AIMessage({ id: "late", content: "late" }), config);
        getWriter()?.("late chunk");
        config.writer?.("late chunk");
        outcomes.push(
          await (async () => child())().then(
            () => "called",
            () => "refused",
          ),
        );
        over.pass();
        return { log: ["late result"] };
      }
      late.pass();
      await over.passed;
      pushMessage(new AIMessage({ id: "own", content: "own" }), config);
      config.writer?.("own chunk");
      return { log: ["own result"] };
    },
    { timeout: 1_000 },
  );
  const chunks: unknown[] = [];
  const running = (async () => {
    const stream = await graph.stream({}, { ...syncRun("t"), streamMode: "custom" });
    for await (const chunk of stream) chunks.push(chunk);
  })();
  await clock.runUntil(running);
  const { values } = await graph.getState(syncRun("t"));
  expect(values.log).toEqual(["own result"]);
  expect(values.messages.map(({ id }: BaseMessage) => id)).toEqual(["own"]);
  expect(chunks).toEqual(["own chunk"]);
  expect(outcomes).toEqual(["refused"]);
});

test("what a failed attempt wrote is not in the state", async () => {
  const { graph, clock } = await alone(async (call, config) => {
    pushMessage(new AIMessage({ id: `call ${call}`, content: "" }), config);
    if (call < 3) throw trouble();
    return {};
  }, {});
  const { messages } = await clock.runUntil(graph.invoke({}, syncRun("t")));
  expect(messages.map(({ id }) => id)).toEqual(["call 3"]);
});

test("an idle attempt ends; each sign of life moves its end on", async () => {
  const lives: number[] = [];
  const { graph, clock } = await alone(
    async (call, config) => {
      if (call > 1) return { log: ["done"] };
      const signs = [
        () => config.heartbeat?.(),
        () => currentAttempt()?.heartbeat(),
        () => config.writer?.("chunk"),
        () => RunnableLambda.from(() => "").invoke(""),
      ];
      for (const sign of signs) {
        await clock.sleep(900);
        await sign();
        lives.push(clock.now());
      }
      await new Promise(() => undefined);
      return {};
    },
    { timeout: { idleTimeout: 1_000 } },
  );
  const start = clock.now();
  expect(await clock.runUntil(graph.invoke({}, syncRun("t")))).toMatchObject({ log: ["done"] });
  expect(lives.map((at) => at - start)).toEqual([900, 1_800, 2_700, 3_600]);
  expect(clock.now() - start).toBe(3_600 + 1_000 + 1_000);
});

test("where only heartbeats count, nothing else does", async () => {
  const { graph, clock } = await alone(
    async (call, config) => {
      if (call > 1) return { log: ["done"] };
      for (;;) {
        await clock.sleep(600);
        config.signal?.throwIfAborted();
        config.writer?.("chunk");
      }
    },
    { timeout: { idleTimeout: 1_000, refreshOn: "heartbeat" } },
  );
  const start = clock.now();
  await clock.runUntil(graph.invoke({}, syncRun("t")));
  expect(clock.now() - start).toBe(2_000);
});

test("a subgraph within a timed-out attempt stops, even if the caller has a signal of its own", async () => {
  const { saver, clock } = await inMemory();
  const after: string[] = [];
  const held = gate();
  const inner = new StateGraph(State)
    .addNode("slow", async () => {
      if (after.length === 0) {
        after.push("slow");
        await held.passed;
      }
      return { log: ["slow"] };
    })
    .addNode("next", () => {
      after.push("next");
      return { log: ["next"] };
    })
    .addEdge(START, "slow")
    .addEdge("slow", "next")
    .compile();
  const graph = new StateGraph(State)
    .addNode("sub", durable(inner, { retry, timeout: 1_000 }))
    .addEdge(START, "sub")
    .compile({ checkpointer: saver });
  const config = { ...syncRun("t"), signal: new AbortController().signal };
  const result = await clock.runUntil(graph.invoke({}, config));
  expect(result.log).toEqual(["slow", "next"]);
  held.pass();
  await clock.advance(0);
  expect(after).toEqual(["slow", "next"]);
});

test("an answer that a timed-out attempt had taken stays given", async () => {
  const { graph, clock } = await alone(
    async (call) => {
      const answer = interrupt<string, string>("well?");
      if (call === 2) await new Promise(() => undefined);
      return { log: [answer] };
    },
    { timeout: 1_000 },
  );
  await graph.invoke({}, syncRun("t"));
  const answered = graph.invoke(new Command({ resume: "yes" }), syncRun("t"));
  expect(await clock.runUntil(answered)).toMatchObject({ log: ["yes"] });
});
