import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessageChunk } from "@langchain/core/messages";
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs";
import {
  Annotation,
  END,
  MessagesAnnotation,
  START,
  StateGraph,
  interrupt,
} from "@langchain/langgraph";
import { entrypoint, task } from "@langchain/langgraph";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import { events } from "../../src/events.ts";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import type { StreamEvent } from "../../src/runtime/stream.ts";
import type { RuntimeOptions } from "../../src/runtime/types.ts";
import { durable } from "../../src/steps/durable.ts";
import { durableModel } from "../../src/steps/model.ts";
import { fakeOpenAI, type FakeOpenAI } from "../../src/testing/index.ts";
import { faultySqlite, sqliteError } from "../support/faulty-sqlite.ts";
import { newFile, PLACES, type Place } from "../support/places.ts";
import { VERSES, streamingModel, talkGraph, verseFor } from "../support/talk-graph.ts";
import { Transcript, transcriptOf } from "../support/transcript.ts";

let server: FakeOpenAI;
const opened: Runtime[] = [];
beforeEach(async () => {
  server = await fakeOpenAI({ answer: verseFor });
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((runtime) => runtime.close({ gracePeriod: 0 })));
  await server.close();
});

function runtimeOf(options: RuntimeOptions): Runtime {
  const runtime = createRuntime({ worker: { pollInterval: 50, leaseDuration: 2_000 }, ...options });
  opened.push(runtime);
  return runtime;
}

/** What the last state says. */
async function texts(runtime: Runtime, runId: string): Promise<string[]> {
  const { values } = await runtime.result(runId);
  return (values["messages"] as { type: string; text: string }[])
    .filter(({ type }) => type === "ai")
    .map(({ text }) => text);
}

const RETRIES = { retry: { maxAttempts: 3, initialInterval: 1, jitter: false } };
const refused = (): Error => Object.assign(new Error("refused"), { code: "ECONNREFUSED" });

describe.each(PLACES)("the stream of a run on %s", (_, newPlace) => {
  let place: Place;
  beforeEach(async () => {
    place = await newPlace();
  });

  it("is told whole, live and later, here and elsewhere, and goes on behind any of its events", async () => {
    const graph = talkGraph(server.baseURL);
    const runtime = runtimeOf({ saver: place.open(), graphs: { graph } });
    const reader = runtimeOf({ saver: place.open(), graphs: { graph }, worker: false });
    const streamMode = ["messages", "updates", "values"] as const;
    const { runId } = await runtime.start("graph", { messages: [] }, { streamMode });
    const [live, elsewhere] = await Promise.all([
      transcriptOf(runtime.stream(runId)),
      transcriptOf(reader.stream(runId)),
    ]);
    expect(live.texts).toEqual([VERSES.first, VERSES.second]);
    expect(await texts(runtime, runId)).toEqual(live.texts);
    expect(new Set(live.ids).size).toBe(live.ids.length);
    expect(live.names[0]).toBe("run.started");
    expect(live.events.at(-1)).toMatchObject({ event: "run.ended", data: { status: "completed" } });
    expect(live.names.filter((name) => name === "updates")).toHaveLength(2);
    expect(live.names.filter((name) => name === "values")).toHaveLength(3);
    const message = live.events.find(({ event }) => event === "messages");
    expect(message?.data).toEqual([expect.any(AIMessageChunk), expect.any(Object)]);
    expect(elsewhere.events).toEqual(live.events);
    expect((await transcriptOf(reader.stream(runId))).events).toEqual(live.events);
    for (let i = 0; i < live.ids.length; i += 7) {
      const rest = await transcriptOf(reader.stream(runId, { after: live.ids[i] as string }));
      expect(rest.events).toEqual(live.events.slice(i + 1));
    }
    const nothing = reader.stream(runId, { after: live.ids.at(-1) as string });
    expect((await transcriptOf(nothing)).events).toEqual([]);
    const updates = await transcriptOf(reader.stream(runId, { mode: "updates" }));
    expect(updates.names).toEqual(["run.started", "updates", "updates", "run.ended"]);
  });

  it("is told while it comes, and waits for what is still to come", async () => {
    const gate = Promise.withResolvers<void>();
    const graph = talkGraph(server.baseURL, () => gate.promise);
    const runtime = runtimeOf({ saver: place.open(), graphs: { graph }, streamMode: "messages" });
    const { runId } = await runtime.start("graph", { messages: [] });
    const seen: StreamEvent[] = [];
    let text = "";
    for await (const event of runtime.stream(runId)) {
      seen.push(event);
      if (event.event !== "messages") continue;
      text += event.data[0].text;
      // Nothing of the second verse can come before somebody has heard the first.
      if (text === VERSES.first) gate.resolve();
    }
    expect(text).toBe(VERSES.first + VERSES.second);
    expect(seen.at(-1)?.event).toBe("run.ended");
  });

  it("says what of a failed attempt is void, also what comes after it failed", async () => {
    const model = streamingModel(server.baseURL);
    let fails = 2;
    const graph = new StateGraph(MessagesAnnotation)
      .addNode(
        "say",
        durable(async (__: unknown, config: LangGraphRunnableConfig) => {
          config.writer?.({ fails });
          const first = await model.invoke("the first verse");
          fails -= 1;
          if (fails >= 0) {
            // Left alone, and still at it while the next attempt is made.
            void model.invoke("the second verse", config).catch(() => undefined);
            await expect.poll(() => server.requests.length % 2).toBe(0);
            throw refused();
          }
          return { messages: [first] };
        }, RETRIES),
      )
      .addEdge(START, "say")
      .addEdge("say", END)
      .compile();
    const runtime = runtimeOf({ saver: place.open(), graphs: { graph } });
    const streamMode = ["messages", "custom"] as const;
    const { runId } = await runtime.start("graph", { messages: [] }, { streamMode });
    const told = await transcriptOf(runtime.stream(runId));
    expect(told.texts).toEqual([VERSES.first]);
    const failures = told.events.filter(({ event }) => event === "attempt.failed");
    const custom = told.events.filter(({ event }) => event === "custom");
    const [task] = custom.map((event) => ("taskId" in event ? event.taskId : undefined));
    expect(failures.map(({ data }) => data)).toMatchObject(
      [1, 2].map((attempt) => ({
        ...{ node: "say", taskId: task, attempt, kind: "network" },
        error: { name: "Error", message: "refused" },
        voids: { tasks: [task], messages: [] },
      })),
    );
    expect(custom.map(({ data }) => data)).toEqual([{ fails: 2 }, { fails: 1 }, { fails: 0 }]);
  });

  it("says which message of a durable model is void, and no more than that", async () => {
    const model = durableModel(streamingModel(server.baseURL), { ...RETRIES, breaker: false });
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("say", async () => ({
        messages: [await model.invoke("the first verse"), await model.invoke("the second verse")],
      }))
      .addEdge(START, "say")
      .addEdge("say", END)
      .compile();
    server.fail({ cut: true, after: 1 });
    const runtime = runtimeOf({ saver: place.open(), graphs: { graph }, streamMode: "messages" });
    const { runId } = await runtime.start("graph", { messages: [] });
    const told = await transcriptOf(runtime.stream(runId));
    expect(told.texts).toEqual([VERSES.first, VERSES.second]);
    expect(await texts(runtime, runId)).toEqual(told.texts);
    const failure = told.events.find(({ event }) => event === "attempt.failed");
    expect(failure?.data).toMatchObject({ voids: { tasks: [], messages: ["chatcmpl-2"] } });
    expect(server.requests.map(({ outcome }) => outcome)).toEqual(["answered", "cut", "answered"]);
  });

  it("ends where a person is asked, goes on with the answer, and says what is asked for again", async () => {
    const model = streamingModel(server.baseURL);
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("say", async () => {
        const verse = await model.invoke("the first verse");
        return { messages: [verse, { role: "user", content: interrupt("well?") }] };
      })
      .addEdge(START, "say")
      .addEdge("say", END)
      .compile();
    const runtime = runtimeOf({ saver: place.open(), graphs: { graph }, streamMode: "messages" });
    const { runId } = await runtime.start("graph", { messages: [] }, { threadId: "t" });
    const asked = await transcriptOf(runtime.stream(runId));
    expect(asked.texts).toEqual([VERSES.first]);
    const waits = {
      event: "run.waits",
      data: { status: "interrupted", reason: "waits for an answer" },
    };
    expect(asked.events.at(-1)).toMatchObject(waits);
    const after = asked.ids.at(-1) as string;
    expect((await transcriptOf(runtime.stream(runId, { after }))).events).toEqual([]);
    await runtime.resume("t", "good");
    for await (const event of runtime.stream(runId, { after })) asked.add(event);
    expect(asked.texts).toEqual([VERSES.first]);
    expect(await texts(runtime, runId)).toEqual([VERSES.first]);
    expect(asked.names.filter((name) => name === "tasks.restarted")).toHaveLength(1);
    expect(new Set(asked.ids).size).toBe(asked.ids.length);
    // Who reads it all later need not know that it once waited.
    const kept = asked.events.filter(({ event }) => event !== "run.waits");
    expect((await transcriptOf(runtime.stream(runId))).events).toEqual(kept);
  });

  it("keeps what the tasks of a function said that had finished", async () => {
    const model = streamingModel(server.baseURL);
    const ask = task("ask", async (which: string) => (await model.invoke(which)).text);
    const graph = entrypoint("flow", async (which: string) => {
      const first = await ask(which);
      return { first, said: interrupt("well?"), second: await ask("the second verse") };
    });
    const runtime = runtimeOf({ saver: place.open(), graphs: { graph }, streamMode: "messages" });
    const { runId } = await runtime.start("graph", "the first verse", { threadId: "t" });
    const told = await transcriptOf(runtime.stream(runId));
    await runtime.resume("t", "good");
    for await (const event of runtime.stream(runId, { after: told.ids.at(-1) as string })) {
      told.add(event);
    }
    expect(told.texts).toEqual([VERSES.first, VERSES.second]);
    expect(server.requests).toHaveLength(2);
  });

  it("keeps what a subgraph's tasks said that had finished", async () => {
    const model = streamingModel(server.baseURL);
    let fails = 1;
    const inner = new StateGraph(MessagesAnnotation)
      .addNode("first", async () => ({ messages: [await model.invoke("the first verse")] }))
      .addNode("second", async () => {
        const verse = await model.invoke("the second verse");
        fails -= 1;
        if (fails >= 0) throw refused();
        return { messages: [verse] };
      })
      .addEdge(START, "first")
      .addEdge("first", "second")
      .addEdge("second", END)
      .compile();
    const graph = new StateGraph(MessagesAnnotation)
      .addNode(
        "poem",
        durable(
          (state: typeof MessagesAnnotation.State, config: LangGraphRunnableConfig) =>
            inner.invoke(state, config),
          RETRIES,
        ),
      )
      .addEdge(START, "poem")
      .addEdge("poem", END)
      .compile();
    const runtime = runtimeOf({
      saver: place.open(),
      graphs: { graph },
      streamMode: ["messages", "updates"],
    });
    const { runId } = await runtime.start("graph", { messages: [] });
    const told = await transcriptOf(runtime.stream(runId));
    expect(told.texts).toEqual([VERSES.first, VERSES.second]);
    expect(server.requests).toHaveLength(3);
    const places = told.events.flatMap((event) =>
      event.event === "updates" ? [event.namespace.length] : [],
    );
    expect(places).toEqual([1, 1, 0]);
  });

  it("keeps what a subgraph's tasks said before a question of another one", async () => {
    const model = streamingModel(server.baseURL);
    const inner = new StateGraph(MessagesAnnotation)
      .addNode("first", async () => ({ messages: [await model.invoke("the first verse")] }))
      .addNode("second", async () => {
        const verse = await model.invoke("the second verse");
        interrupt("well?");
        return { messages: [verse] };
      })
      .addEdge(START, "first")
      .addEdge("first", "second")
      .addEdge("second", END)
      .compile();
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("poem", inner)
      .addEdge(START, "poem")
      .addEdge("poem", END)
      .compile();
    const runtime = runtimeOf({ saver: place.open(), graphs: { graph }, streamMode: "messages" });
    const { runId } = await runtime.start("graph", { messages: [] }, { threadId: "t" });
    const told = await transcriptOf(runtime.stream(runId));
    expect(told.texts).toEqual([VERSES.first, VERSES.second]);
    await runtime.resume("t", "good");
    for await (const event of runtime.stream(runId, { after: told.ids.at(-1) as string })) {
      told.add(event);
    }
    expect(told.texts).toEqual([VERSES.first, VERSES.second]);
    expect(server.requests).toHaveLength(3);
    const restarted = told.events.flatMap(({ event, data }) =>
      event === "tasks.restarted" ? [(data as { voids: { tasks: string[] } }).voids.tasks] : [],
    );
    expect(restarted).toEqual([[expect.any(String)]]);
  });

  it("of a run that keeps none is its life", async () => {
    const gate = Promise.withResolvers<void>();
    const State = Annotation.Root({ done: Annotation<boolean>() });
    const graph = new StateGraph(State)
      .addNode("work", () => gate.promise.then(() => ({ done: true })))
      .addEdge(START, "work")
      .addEdge("work", END)
      .compile();
    const runtime = runtimeOf({ saver: place.open(), graphs: { graph } });
    const { runId } = await runtime.start("graph", { done: false });
    const told = new Transcript();
    for await (const event of runtime.stream(runId)) {
      told.add(event);
      gate.resolve();
    }
    expect(told.names).toEqual(["run.started", "run.ended"]);
    expect(told.ids).toEqual(["1.0.running", "1.0.completed"]);
    for (const [i, after] of told.ids.entries()) {
      const rest = await transcriptOf(runtime.stream(runId, { after }));
      expect(rest.events).toEqual(told.events.slice(i + 1));
    }
    await expect(runtime.stream(runId, { mode: "messages" }).next()).rejects.toThrow(
      /keeps nothing of its stream, and not "messages".*start\(graph, input, { streamMode: \["messages"\] }\)/,
    );
    await expect(runtime.stream(runId, { after: "soon" }).next()).rejects.toThrow(/"1\.42"/);
    await expect(runtime.stream("nobody").next()).rejects.toThrow(/no run "nobody"/);
    const odd = runtime.start("graph", {}, { streamMode: "debug" as "values" });
    await expect(odd).rejects.toThrow(/is one of values, updates.*not "debug"/);
  });

  it("says so where LangGraph streams what cannot be stored", async () => {
    const State = Annotation.Root({ done: Annotation<boolean>() });
    const graph = new StateGraph(State)
      .addNode("say", (__, config) => {
        config.writer?.({ call: () => 1 });
        config.writer?.("a text");
        return { done: true };
      })
      .addEdge(START, "say")
      .addEdge("say", END)
      .compile();
    const runtime = runtimeOf({ saver: place.open(), graphs: { graph }, streamMode: "custom" });
    const { runId } = await runtime.start("graph", {});
    const told = await transcriptOf(runtime.stream(runId));
    expect(told.names).toEqual(["run.started", "chunk.refused", "custom", "run.ended"]);
    expect(told.events[1]?.data).toMatchObject({
      mode: "custom",
      error: { name: "UnserializableError" },
    });
    expect(told.events[2]).toMatchObject({ data: "a text", namespace: [] });
  });

  it("is swept once it was kept long enough", async () => {
    const graph = talkGraph(server.baseURL);
    const runtime = runtimeOf({ saver: place.open(), graphs: { graph }, keepEvents: 1 });
    const { runId } = await runtime.start("graph", { messages: [] }, { streamMode: "messages" });
    await runtime.result(runId);
    const left = async (): Promise<string[]> => (await transcriptOf(runtime.stream(runId))).names;
    await expect.poll(left).toEqual(["run.ended"]);
    const odd = { saver: runtime.saver, graphs: { graph }, keepEvents: -1 };
    expect(() => createRuntime(odd)).toThrow(/keepEvents is a number/);
  });

  it("can be left, and broken off", async () => {
    const gate = Promise.withResolvers<void>();
    const graph = talkGraph(server.baseURL, () => gate.promise);
    const runtime = runtimeOf({ saver: place.open(), graphs: { graph }, streamMode: "messages" });
    const { runId } = await runtime.start("graph", { messages: [] });
    for await (const { event } of runtime.stream(runId)) if (event === "messages") break;
    const left = new AbortController();
    const reading = transcriptOf(runtime.stream(runId, { signal: left.signal }));
    left.abort(new Error("enough"));
    await expect(reading).rejects.toThrow("enough");
    gate.resolve();
    expect((await transcriptOf(runtime.stream(runId))).texts).toEqual(Object.values(VERSES));
  });
});

describe("a run that streams, and its database", () => {
  function begin(graph: object = talkGraph(server.baseURL), leaseDuration = 30_000) {
    const db = faultySqlite(newFile());
    const saver = new SqliteSaver(db);
    const worker = { pollInterval: 50, leaseDuration };
    const runtime = runtimeOf({ saver, graphs: { graph }, streamMode: "messages", worker });
    onTestFinished(() => saver.end());
    return { db, runtime };
  }

  it("stores what a task streamed before its result", async () => {
    const { db, runtime } = begin();
    const told: string[] = [];
    const stored: { task: string; told: number }[] = [];
    db.onWrite = (sql, parameters) => {
      const texts = parameters.map((each) =>
        each instanceof Uint8Array ? Buffer.from(each).toString() : each,
      );
      if (sql.includes("INTO holdfast_run_events") && texts[3] === "messages")
        told.push(String(texts[4]));
      if (sql.includes("INTO holdfast_pending_writes")) {
        const task = told.findLast((path) => texts.includes((JSON.parse(path) as [string])[0]));
        if (task !== undefined)
          stored.push({ task, told: told.filter((path) => path === task).length });
      }
    };
    const { runId } = await runtime.start("graph", { messages: [] });
    await runtime.result(runId);
    const paths = [...new Set(told)];
    expect(paths).toHaveLength(2);
    for (const path of paths) {
      const all = told.filter((each) => each === path).length;
      expect(all).toBeGreaterThan(10);
      expect(stored.find(({ task }) => task === path)).toEqual({ task: path, told: all });
    }
  });

  it("makes a model wait that streams faster than the database takes it, and loses nothing", async () => {
    let asked = 0;
    const model = new Chatterbox(5_000, () => (asked += 1));
    const graph = new StateGraph(MessagesAnnotation)
      .addNode("say", async () => ({ messages: [await model.invoke("go on")] }))
      .addEdge(START, "say")
      .addEdge("say", END)
      .compile();
    const { db, runtime } = begin(graph);
    let isLocked = true;
    let tries = 0;
    db.onWrite = (sql) => {
      if (!isLocked || asked === 0 || !sql.includes("run_events")) return;
      tries += 1;
      throw sqliteError(5, "database is locked");
    };
    const { runId } = await runtime.start("graph", { messages: [] });
    const reading = transcriptOf(runtime.stream(runId));
    await expect.poll(() => asked).toBeGreaterThan(700);
    const before = tries;
    await expect.poll(() => tries).toBeGreaterThan(before + 3);
    expect(asked).toBeLessThan(2_000);
    isLocked = false;
    const told = await reading;
    expect(asked).toBe(5_000);
    expect(told.texts).toEqual([Array.from({ length: 5_000 }, (_, i) => `${i} `).join("")]);
  });

  it("loses nothing in silence: the run is left, and what it had not stored is said again", async () => {
    const { db, runtime } = begin(talkGraph(server.baseURL), 1_000);
    let isBroken = false;
    let refusals = 0;
    db.onWrite = (sql) => {
      if (sql.includes("run_events") && server.requests.length === 2 && refusals === 0)
        isBroken = true;
      if (!isBroken) return;
      refusals += 1;
      throw sqliteError(10, "disk I/O error");
    };
    const abandoned = new Promise((resolve) => {
      const stop = events.on("run.abandoned", ({ error }) => {
        stop();
        isBroken = false;
        resolve(error);
      });
    });
    const { runId } = await runtime.start("graph", { messages: [] });
    const reading = transcriptOf(runtime.stream(runId));
    expect(await abandoned).toMatchObject({ code: "DATABASE_UNAVAILABLE" });
    const told = await reading;
    expect(refusals).toBeGreaterThan(0);
    expect(told.texts).toEqual(Object.values(VERSES));
    expect(told.texts).toEqual(await texts(runtime, runId));
    expect(told.events.at(-1)).toMatchObject({ attempt: 2, event: "run.ended" });
  });
});

/** A model that is never at a loss for words. */
class Chatterbox extends BaseChatModel {
  readonly #words: number;
  readonly #onWord: () => void;

  constructor(words: number, onWord: () => void) {
    super({});
    this.#words = words;
    this.#onWord = onWord;
  }

  override _llmType(): string {
    return "chatterbox";
  }

  override _generate(): Promise<ChatResult> {
    throw new Error("It only streams.");
  }

  override async *_streamResponseChunks(
    _messages: unknown,
    _options: unknown,
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    for (let i = 0; i < this.#words; i += 1) {
      this.#onWord();
      const text = `${i} `;
      const chunk = new ChatGenerationChunk({ text, message: new AIMessageChunk(text) });
      yield chunk;
      await runManager?.handleLLMNewToken(text, undefined, undefined, undefined, undefined, {
        chunk,
      });
    }
  }
}
