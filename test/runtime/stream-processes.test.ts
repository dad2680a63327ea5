import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRuntime } from "../../src/runtime/create-runtime.ts";
import { fakeOpenAI, type FakeOpenAI } from "../../src/testing/index.ts";
import { startChild, type Child } from "../support/child.ts";
import { PLACES, type Place } from "../support/places.ts";
import { VERSES, talkGraph, verseFor } from "../support/talk-graph.ts";
import { Transcript, transcriptOf } from "../support/transcript.ts";

let server: FakeOpenAI;
beforeEach(async () => {
  server = await fakeOpenAI({ answer: verseFor });
});
afterEach(() => server.close());

describe.each(PLACES)("the stream of a run of another process, on %s", (_, newPlace) => {
  async function begin() {
    const place = await newPlace();
    const graphs = { graph: talkGraph(server.baseURL) };
    const saver = place.open();
    const runtime = createRuntime({ saver, graphs, worker: false, streamMode: "messages" });
    return { place, saver, runtime };
  }

  async function startWorker(place: Place, options: object = {}): Promise<Child> {
    const child = startChild("stream-worker.ts", place.url, server.baseURL, options);
    await child.next("ready");
    return child;
  }

  it("is that of its worker", async () => {
    const { place, runtime } = await begin();
    await startWorker(place);
    const { runId } = await runtime.start("graph", { messages: [] });
    const told = await transcriptOf(runtime.stream(runId));
    expect(told.texts).toEqual(Object.values(VERSES));
    expect(new Set(told.ids).size).toBe(told.ids.length);
  });

  it("goes on with the next worker, where one was killed among its tokens", async () => {
    const { place, runtime } = await begin();
    // The first verse comes; of the second one half, and then nothing more.
    server.fail({ hang: "midway", after: 1 });
    const a = await startWorker(place, { leaseDuration: 600_000 });
    const { runId } = await runtime.start("graph", { messages: [] });
    const told = new Transcript();
    let isKilled = false;
    for await (const event of runtime.stream(runId)) {
      told.add(event);
      if (!isKilled && told.texts[1] !== undefined && told.texts[1] !== "") {
        isKilled = true;
        await a.kill();
        await startWorker(place);
      }
    }
    expect(told.texts).toEqual(Object.values(VERSES));
    const { values } = await runtime.result(runId);
    expect((values["messages"] as { text: string }[]).map(({ text }) => text)).toEqual(told.texts);
    expect(new Set(told.ids).size).toBe(told.ids.length);
    expect(told.names.filter((name) => name === "run.started")).toHaveLength(2);
    const restarted = told.events.find(({ event }) => event === "tasks.restarted");
    expect(restarted?.attempt).toBe(2);
    // Nothing that had finished was asked for, or told, again.
    expect(server.requests).toHaveLength(3);
    expect((await transcriptOf(runtime.stream(runId))).events).toEqual(told.events);
  });

  it("takes nothing of a worker that stood still, and was overtaken", async () => {
    const { place, saver, runtime } = await begin();
    server.fail({ hang: "midway", after: 1 });
    const a = await startWorker(place);
    const { runId } = await runtime.start("graph", { messages: [] });
    const told = new Transcript();
    let isStopped = false;
    for await (const event of runtime.stream(runId)) {
      told.add(event);
      if (!isStopped && told.texts[1] !== undefined && told.texts[1] !== "") {
        isStopped = true;
        a.process.kill("SIGSTOP");
        await startWorker(place);
      }
    }
    expect(told.texts).toEqual(Object.values(VERSES));
    const [{ seq } = { seq: 0 }] = (await saver.steps.queue?.list({ runId })) ?? [];
    const stored = async (): Promise<unknown> =>
      saver.steps.runEvents?.read(seq, { attempt: 0, n: 0 }, 10_000);
    const before = await stored();
    a.process.kill("SIGCONT");
    await a.next("run.abandoned");
    expect(await stored()).toEqual(before);
    expect((await transcriptOf(runtime.stream(runId))).events).toEqual(told.events);
  });
});
