/** `retry()` around functions, and around real HTTP. */

import { HumanMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { fakeOpenAI, failTimes, ManualClock, type FakeOpenAI, type Fault } from "holdfast/testing";
import OpenAI from "openai";
import { afterEach, describe, expect, it } from "vitest";
import { AttemptTimeoutError, InvalidInputError, isExhausted } from "../../src/errors.ts";
import { events, type EmittedEvent } from "../../src/events.ts";
import { classify } from "../../src/policy/classify.ts";
import { retry, type RetryOptions } from "../../src/policy/retry.ts";
import { deadUrl, loopback, rejection } from "./server.ts";

const heard: EmittedEvent[] = [];
const stop: Array<() => unknown> = [];
afterEach(async () => {
  heard.length = 0;
  for (const end of stop.splice(0)) await end();
});

function listen(): void {
  stop.push(events.on("*", (event) => heard.push(event)));
}

const failing = (status: number, headers: Record<string, string> = {}): Error =>
  Object.assign(new Error(String(status)), { status, headers });

/** Without chance: the middle of each wait. */
const even = { random: () => 0.5 };

describe("retry()", () => {
  it("calls again until it works, after growing waits, and tells of each failure", async () => {
    listen();
    const clock = new ManualClock();
    const attempts: number[] = [];
    const work = retry(
      async ({ attempt }) => {
        attempts.push(attempt);
        if (attempt < 4) throw failing(503);
        return "done";
      },
      { clock, ...even },
    );
    expect(await clock.runUntil(work)).toBe("done");
    expect(attempts).toEqual([1, 2, 3, 4]);
    expect(clock.asked).toEqual([250, 500, 1_000]);
    expect(heard.map(({ name }) => name)).toEqual(Array(3).fill("attempt.failed"));
    expect(heard[0]?.data).toMatchObject({ attempt: 1, maxAttempts: 4, kind: "server" });
  });

  it("throws the last error as it is, marked, when attempts are used up", async () => {
    listen();
    const clock = new ManualClock();
    const errors = [1, 2, 3, 4].map(() => failing(503));
    let calls = 0;
    const fn = (): never => {
      throw errors[calls++] as Error;
    };
    const error = await rejection(clock.runUntil(retry(fn, { clock })));
    expect(error).toBe(errors[3]);
    expect(isExhausted(error)).toBe(true);
    expect(calls).toBe(4);
    expect(heard.at(-1)).toMatchObject({ name: "attempt.exhausted", data: { attempts: 4, error } });
  });

  it("fails at once for bugs, refusals and what nobody knows", async () => {
    for (const error of [new TypeError("x"), failing(400), new Error("?"), "text"]) {
      let calls = 0;
      const fn = (): never => {
        calls += 1;
        // oxlint-disable-next-line typescript/only-throw-error -- users do
        throw error;
      };
      expect(await rejection(retry(fn))).toBe(error);
      expect(calls).toBe(1);
    }
  });

  it("waits no longer once it is aborted, and throws the reason", async () => {
    const clock = new ManualClock();
    const controller = new AbortController();
    const reason = new Error("stop");
    let calls = 0;
    const work = rejection(
      retry(
        () => {
          calls += 1;
          throw failing(429, { "retry-after": "3600" });
        },
        { clock, signal: controller.signal },
      ),
    );
    await clock.sleeping();
    controller.abort(reason);
    expect(await work).toBe(reason);
    expect(calls).toBe(1);
    expect(clock.pending).toEqual([]);
    expect(await rejection(retry(() => 1, { signal: controller.signal }))).toBe(reason);
  });

  it("ends an attempt whose time is up, tells the code in it, and drops what it still returns", async () => {
    const clock = new ManualClock();
    const signals: AbortSignal[] = [];
    const late = Promise.withResolvers<string>();
    const work = retry(
      ({ attempt, signal }) => {
        signals.push(signal);
        return attempt === 1 ? late.promise : "second";
      },
      { clock, timeout: 5_000, ...even },
    );
    await clock.sleeping();
    await clock.advance(5_000);
    expect(signals[0]?.reason).toBeInstanceOf(AttemptTimeoutError);
    late.resolve("first, too late");
    expect(await clock.runUntil(work)).toBe("second");
    expect(signals[1]?.aborted).toBe(false);
    expect(clock.pending).toEqual([]);
  });

  it("takes a client's own abort after a timeout for the timeout", async () => {
    const clock = new ManualClock();
    let calls = 0;
    const work = retry(
      ({ signal }) => {
        calls += 1;
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(new OpenAI.APIUserAbortError()));
        });
      },
      { clock, timeout: 100, maxAttempts: 2 },
    );
    expect(await rejection(clock.runUntil(work))).toBeInstanceOf(AttemptTimeoutError);
    expect(calls).toBe(2);
  });

  it("hands over to its fallback, whose failure is final", async () => {
    listen();
    const fallback: RetryOptions<string>["fallback"] = (error) => `after ${String(error)}`;
    const fail = (): Promise<string> => Promise.reject(failing(400));
    expect(await retry(fail, { fallback, name: "ask" })).toBe("after Error: 400");
    expect(heard.at(-1)).toMatchObject({ name: "fallback.used", data: { name: "ask" } });

    const broken = await rejection(
      retry(fail, {
        fallback: () => {
          throw failing(503);
        },
      }),
    );
    expect(classify(broken)).toMatchObject({ kind: "server", retryable: false, exhausted: true });

    const signal = AbortSignal.abort(new Error("stop"));
    expect(await rejection(retry(fail, { fallback, signal }))).toBe(signal.reason);
  });

  it("gives up after maxElapsed", async () => {
    const clock = new ManualClock();
    const fn = failTimes(
      99,
      () => 1,
      () => failing(529),
    );
    const policy = { clock, maxAttempts: 99, maxElapsed: 10_000, jitter: false } as const;
    const started = clock.now();
    const error = await rejection(clock.runUntil(retry(fn, policy)));
    expect(isExhausted(error)).toBe(true);
    // 1 + 2 + 4 s; the next wait would end after 15 s.
    expect(clock.now() - started).toBe(7_000);
  });

  it("refuses what it cannot do", async () => {
    const park = { onExhausted: "park" } as unknown as RetryOptions<number>;
    await expect(retry(() => 1, park)).rejects.toThrow(/no graph to park.*use durable\(\)/);
    await expect(retry(() => 1, { timeout: -1 })).rejects.toThrow(InvalidInputError);
    await expect(retry("x" as never)).rejects.toThrow(/takes a function to call, not "x"/);
    const typo = { maxAtempts: 3 } as unknown as RetryOptions<number>;
    await expect(retry(() => 1, typo)).rejects.toThrow(/did you mean "maxAttempts"/);
  });
});

describe("retry() around fetch", () => {
  const quick = { initialInterval: 1 } as const;
  const get = (url: string, signal: AbortSignal): Promise<string> =>
    fetch(url, { signal }).then((response) => response.text());

  it("knows a refused connection, and that nothing was done", async () => {
    const url = await deadUrl();
    const error = await rejection(fetch(url));
    expect(classify(error)).toMatchObject({ kind: "network", retryable: true, notPerformed: true });
  });

  it("knows a name that does not exist, and that nothing was done", async () => {
    const error = await rejection(fetch("http://holdfast.invalid/"));
    expect(classify(error)).toMatchObject({ kind: "network", retryable: true, notPerformed: true });
  });

  it("knows an answer that is cut off, and nothing of what was done", async () => {
    await using server = await loopback((_, response, number) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("half");
      if (number < 3) setImmediate(() => response.destroy());
      else response.end("x".repeat(96));
    });
    const error = await rejection(get(server.url, new AbortController().signal));
    expect(classify(error)).toMatchObject({
      kind: "network",
      retryable: true,
      notPerformed: false,
    });
    const text = await retry(({ signal }) => get(server.url, signal), quick);
    expect(text).toHaveLength(100);
    expect(server.requests).toBe(3);
  });

  it("knows a connection that is reset before any answer", async () => {
    await using server = await loopback((request) => request.socket.resetAndDestroy());
    expect(classify(await rejection(fetch(server.url)))).toMatchObject({
      kind: "network",
      retryable: true,
      notPerformed: false,
    });
  });

  it("knows a server that speaks no HTTP, or no TLS", async () => {
    await using server = await loopback((request) => void request.socket.end("kelp\r\n\r\n"));
    expect(classify(await rejection(fetch(server.url)))).toMatchObject({ kind: "network" });
    const tls = server.url.replace("http:", "https:");
    expect(classify(await rejection(fetch(tls)))).toMatchObject({ kind: "network" });
  });

  it("ends an attempt on a server that never answers", async () => {
    await using server = await loopback((_, response, number) => {
      if (number > 1) response.end("now");
    });
    const options = { ...quick, timeout: 1_000 };
    expect(await retry(({ signal }) => get(server.url, signal), options)).toBe("now");
    expect(server.requests).toBe(2);
    await using hung = await loopback(() => undefined);
    const error = await rejection(fetch(hung.url, { signal: AbortSignal.timeout(20) }));
    expect(classify(error)).toMatchObject({
      kind: "timeout",
      retryable: true,
      notPerformed: false,
    });
  });

  it("takes a URL that is none for a bug", async () => {
    expect(classify(await rejection(fetch("http://")))).toMatchObject({ kind: "bug" });
  });
});

describe("retry() around the real OpenAI clients", () => {
  async function serve(...faults: Fault[]): Promise<{ server: FakeOpenAI; model: ChatOpenAI }> {
    const server = await fakeOpenAI();
    stop.push(() => server.close());
    for (const fault of faults) server.fail(fault);
    const model = new ChatOpenAI({
      model: "gpt-4o",
      apiKey: "none",
      maxRetries: 0,
      configuration: { baseURL: server.baseURL },
    });
    return { server, model };
  }
  const raw = ({ baseURL }: FakeOpenAI, timeout = 30_000): Promise<unknown> =>
    new OpenAI({ apiKey: "none", baseURL, maxRetries: 0, timeout }).chat.completions.create({
      model: "gpt-4o",
      messages: [{ role: "user", content: "Hello" }],
    });

  const body = (code: string, message: string): unknown => ({
    error: { code, message, type: "invalid_request_error", param: "messages" },
  });

  it.each<[string, Fault, object]>([
    ["429", { status: 429 }, { kind: "rate-limit", retryable: true, notPerformed: true }],
    [
      "429 with Retry-After",
      { status: 429, headers: { "retry-after": "2" } },
      { kind: "rate-limit", retryAfter: 2_000 },
    ],
    ["500", { status: 500 }, { kind: "server", retryable: true, notPerformed: false }],
    [
      "context length",
      {
        status: 400,
        body: body(
          "context_length_exceeded",
          "This model's maximum context length is 128000 tokens.",
        ),
      },
      { kind: "context-overflow", retryable: false, notPerformed: true },
    ],
    [
      "quota",
      { status: 429, body: body("insufficient_quota", "You exceeded your current quota.") },
      { kind: "quota", retryable: false },
    ],
    [
      "tool results",
      { status: 400, body: body("x", "An assistant message with 'tool_calls' must be followed") },
      { kind: "invalid", retryable: false },
    ],
    ["401", { status: 401 }, { kind: "invalid", retryable: false, notPerformed: true }],
    ["404", { status: 404 }, { kind: "invalid", retryable: false, notPerformed: true }],
    ["a cut answer", { cut: true }, { kind: "network", retryable: true, notPerformed: false }],
  ])("%s, through OpenAI's client and through LangChain's", async (_, fault, expected) => {
    const { server, model } = await serve({ ...fault, times: 2 });
    expect(classify(await rejection(raw(server)))).toMatchObject(expected);
    expect(classify(await rejection(model.invoke("Hello")))).toMatchObject(expected);
  });

  it("knows their timeouts and refused connections", async () => {
    const { server, model } = await serve({ hang: true, times: 3 });
    const timeout = { kind: "timeout", retryable: true, notPerformed: false };
    expect(classify(await rejection(raw(server, 50)))).toMatchObject(timeout);
    const impatient = new ChatOpenAI({
      model: "gpt-4o",
      apiKey: "none",
      maxRetries: 0,
      timeout: 50,
      configuration: { baseURL: server.baseURL },
    });
    expect(classify(await rejection(impatient.invoke("Hello")))).toMatchObject(timeout);
    // LangChain makes an abort of a timeout that a call is given, and nobody can tell them apart.
    const late = await rejection(model.invoke("Hello", { timeout: 50 }));
    expect(classify(late)).toMatchObject({ kind: "unknown", retryable: false });
    const baseURL = await deadUrl();
    const refused = { kind: "network", retryable: true, notPerformed: true };
    const fields = { model: "gpt-4o", apiKey: "none", maxRetries: 0, configuration: { baseURL } };
    expect(classify(await rejection(new ChatOpenAI(fields).invoke("Hello")))).toMatchObject(
      refused,
    );
  });

  it("knows a stream that breaks off, or carries an error", async () => {
    const { server, model } = await serve({ cut: true });
    const read = async (): Promise<void> => {
      for await (const chunk of await model.stream("Hello, tell me of kelp")) void chunk;
    };
    expect(classify(await rejection(read()))).toMatchObject({ kind: "network", retryable: true });
    await using sse = await loopback((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(
        'data: {"error":{"type":"server_error","message":"The server had an error"}}\n\n',
      );
    });
    const odd = new ChatOpenAI({
      model: "gpt-4o",
      apiKey: "none",
      maxRetries: 0,
      configuration: { baseURL: `${sse.url}/v1` },
    });
    expect(classify(await rejection(odd.stream("Hello").then(drain)))).toMatchObject({
      kind: "server",
      retryable: true,
    });
    expect(server.requests).toHaveLength(1);
  });

  it("stops at once when the caller aborts, and counts it as no failure", async () => {
    listen();
    const { server, model } = await serve({ hang: true });
    const controller = new AbortController();
    const work = rejection(
      retry(({ signal }) => model.invoke("Hello", { signal }), { signal: controller.signal }),
    );
    await until(() => server.requests.length === 1);
    const reason = new Error("stop");
    controller.abort(reason);
    expect(await work).toBe(reason);
    expect(heard).toEqual([]);
  });

  it("answers 429, 429, 200 in the time of its curve", async () => {
    const { server, model } = await serve({ status: 429, times: 2 });
    const answer = await retry(
      ({ signal }) => model.invoke([new HumanMessage("Hello")], { signal }),
      { initialInterval: 100 },
    );
    expect(answer.text).not.toBe("");
    expect(server.requests.map(({ outcome }) => outcome)).toEqual(["failed", "failed", "answered"]);
    const [first, second, third] = server.requests.map(({ at }) => at) as [number, number, number];
    expect(second - first).toBeGreaterThanOrEqual(69);
    expect(third - second).toBeGreaterThanOrEqual(139);
  });

  it("waits at least as long as Retry-After says, each time", async () => {
    const { server, model } = await serve({
      status: 429,
      headers: { "retry-after-ms": "300" },
      times: 2,
    });
    await retry(() => model.invoke("Hello"), { initialInterval: 1, maxInterval: 10 });
    const at = server.requests.map((request) => request.at) as [number, number, number];
    expect(at[1] - at[0]).toBeGreaterThanOrEqual(299);
    expect(at[2] - at[1]).toBeGreaterThanOrEqual(299);
  });

  it("does not multiply: the inner one's attempts are all that are made", async () => {
    const { server } = await serve({ status: 500, times: Infinity });
    const quick = { initialInterval: 1, maxAttempts: 3 };
    const nested = retry(() => retry(() => retry(() => raw(server), quick), quick), quick);
    const error = await rejection(nested);
    expect(error).toBeInstanceOf(OpenAI.InternalServerError);
    expect(server.requests).toHaveLength(3);

    const wrapped = retry(async () => {
      try {
        return await retry(() => raw(server), quick);
      } catch (cause) {
        throw new Error("The step failed.", { cause });
      }
    }, quick);
    await expect(wrapped).rejects.toThrow("The step failed.");
    expect(server.requests).toHaveLength(6);
  });
});

async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const chunk of stream) void chunk;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
