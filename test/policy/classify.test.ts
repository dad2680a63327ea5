/** What kind of failure an error is: those that are made by hand. */

import { ContextOverflowError, ModelAbortError, stampRetryable } from "@langchain/core/errors";
import {
  Command,
  GraphDrained,
  GraphInterrupt,
  GraphRecursionError,
  NodeInterrupt,
  NodeTimeoutError,
  ParentCommand,
} from "@langchain/langgraph";
import OpenAI, { APIConnectionError, APIUserAbortError } from "openai";
import { describe, expect, it, test } from "vitest";
import { z } from "zod";
import {
  AttemptTimeoutError,
  BreakerOpenError,
  BudgetExceededError,
  DatabaseUnavailableError,
  DeadlineExceededError,
  LimitExceededError,
  RejectedError,
  UnserializableError,
  markExhausted,
} from "../../src/errors.ts";
import { classify, classifyWith, isFailure, type ErrorKind } from "../../src/policy/classify.ts";

const NOW = Date.UTC(2026, 0, 1);

/** As OpenAI's client makes it of an answer. */
function openAI(
  status: number | undefined,
  error: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Error {
  return status === undefined
    ? new OpenAI.APIError(undefined, error, undefined, new Headers(headers))
    : OpenAI.APIError.generate(status, { error }, undefined, new Headers(headers));
}

/** As Anthropic's client makes it: the whole body is in `error`. */
function anthropic(
  status: number | undefined,
  type: string,
  headers: Record<string, string> = {},
  details?: Record<string, unknown>,
): Error {
  const body = { type: "error", error: { type, message: "said", details }, request_id: "req_1" };
  return Object.assign(new Error(`${status} ${JSON.stringify(body)}`), {
    status,
    headers: new Headers(headers),
    error: body,
    type,
  });
}

/** As Node's system errors are. */
function system(code: string, syscall?: string): Error {
  return Object.assign(new Error(`${syscall} ${code}`), { code, ...(syscall && { syscall }) });
}

/** As undici's fetch throws. */
function fetchFailed(cause: unknown): Error {
  return new TypeError("fetch failed", { cause });
}

describe("answers of providers", () => {
  const cases: Array<[string, Error, ErrorKind, boolean]> = [
    [
      "OpenAI 429",
      openAI(429, { code: "rate_limit_exceeded", type: "requests" }),
      "rate-limit",
      true,
    ],
    ["OpenAI 429 quota", openAI(429, { code: "insufficient_quota" }), "quota", false],
    ["OpenAI 429 quota by type", openAI(429, { type: "insufficient_quota" }), "quota", false],
    ["OpenAI 400", openAI(400, { type: "invalid_request_error" }), "invalid", false],
    [
      "OpenAI 400 too long",
      openAI(400, { type: "invalid_request_error", code: "context_length_exceeded" }),
      "context-overflow",
      false,
    ],
    ["OpenAI 400 filter", openAI(400, { code: "content_filter" }), "invalid", false],
    ["OpenAI 401", openAI(401, { code: "invalid_api_key" }), "invalid", false],
    ["OpenAI 402", openAI(402), "quota", false],
    ["OpenAI 403", openAI(403), "invalid", false],
    ["OpenAI 404", openAI(404, { code: "model_not_found" }), "invalid", false],
    ["OpenAI 408", openAI(408), "timeout", true],
    ["OpenAI 409", openAI(409), "server", true],
    ["OpenAI 422", openAI(422), "invalid", false],
    ["OpenAI 500", openAI(500, { type: "server_error" }), "server", true],
    ["OpenAI 502", openAI(502), "server", true],
    ["OpenAI 503", openAI(503), "server", true],
    ["OpenAI 504", openAI(504), "server", true],
    ["OpenAI stream: server_error", openAI(undefined, { type: "server_error" }), "server", true],
    ["OpenAI stream: quota", openAI(undefined, { code: "insufficient_quota" }), "quota", false],
    [
      "OpenAI stream: rate limit",
      openAI(undefined, { code: "rate_limit_exceeded" }),
      "rate-limit",
      true,
    ],
    ["OpenAI without status", openAI(undefined, {}), "unknown", false],
    ["Anthropic 400", anthropic(400, "invalid_request_error"), "invalid", false],
    ["Anthropic 401", anthropic(401, "authentication_error"), "invalid", false],
    ["Anthropic 402", anthropic(402, "billing_error"), "quota", false],
    ["Anthropic 403", anthropic(403, "permission_error"), "invalid", false],
    ["Anthropic 413", anthropic(413, "request_too_large"), "context-overflow", false],
    ["Anthropic 429", anthropic(429, "rate_limit_error"), "rate-limit", true],
    [
      "Anthropic 429, the month's limit",
      anthropic(429, "rate_limit_error", {}, { error_code: "enforced_spend_limit_reached" }),
      "quota",
      false,
    ],
    ["Anthropic 500", anthropic(500, "api_error"), "server", true],
    ["Anthropic 529", anthropic(529, "overloaded_error"), "overloaded", true],
    ["529 without a body", Object.assign(new Error(""), { status: 529 }), "overloaded", true],
    ["Anthropic stream", anthropic(undefined, "overloaded_error"), "overloaded", true],
    ["axios 503", Object.assign(new Error(""), { response: { status: 503 } }), "server", true],
    [
      "axios 429 quota",
      Object.assign(new Error(""), {
        response: { status: 429, data: { error: { code: "insufficient_quota" } } },
      }),
      "quota",
      false,
    ],
    [
      "AWS 503",
      Object.assign(new Error(""), { $metadata: { httpStatusCode: 503 } }),
      "server",
      true,
    ],
  ];
  it.each(cases)("%s", (_, error, kind, retryable) => {
    expect(classify(error, { now: NOW })).toMatchObject({ kind, retryable, counted: true });
  });

  it("takes no message for a code", () => {
    expect(classify(openAI(400, { message: "insufficient_quota, 429, timeout" })).kind).toBe(
      "invalid",
    );
    expect(classify(new Error("429 Too Many Requests")).kind).toBe("unknown");
    expect(classify(new Error("ECONNRESET")).kind).toBe("unknown");
    expect(classify(new Error("Request timed out.")).kind).toBe("unknown");
  });

  it("looks at plain objects, and at responses that are thrown", () => {
    expect(classify({ status: 503 }).kind).toBe("server");
    expect(
      classify(new Response("", { status: 429, headers: { "retry-after": "7" } })),
    ).toMatchObject({ kind: "rate-limit", retryAfter: 7_000 });
  });
});

describe("what a server says about trying again", () => {
  const limited = (headers: Record<string, string>): Error => openAI(429, {}, headers);
  const retryAfter = (headers: Record<string, string>): number | undefined =>
    classify(limited(headers), { now: NOW }).retryAfter;

  it("is read in milliseconds, seconds and as all three kinds of HTTP dates", () => {
    expect(retryAfter({ "retry-after-ms": "1500" })).toBe(1_500);
    expect(retryAfter({ "retry-after-ms": "250", "retry-after": "9" })).toBe(250);
    expect(retryAfter({ "retry-after": "2" })).toBe(2_000);
    expect(retryAfter({ "Retry-After": "0.5" })).toBe(500);
    expect(retryAfter({ "retry-after": new Date(NOW + 90_000).toUTCString() })).toBe(90_000);
    expect(retryAfter({ "retry-after": "Thursday, 01-Jan-26 00:00:30 GMT" })).toBe(30_000);
    expect(retryAfter({ "retry-after": "Thu Jan  1 00:00:45 2026" })).toBe(45_000);
  });

  it("is nothing where it says now, the past, or nonsense", () => {
    const nothing = [
      "0",
      "-5",
      "1e9",
      "0x10",
      "Infinity",
      "NaN",
      "soon",
      "",
      "   ",
      "2026-01-01T00:00:10Z",
    ];
    for (const value of nothing)
      expect(retryAfter({ "retry-after": value }), value).toBe(undefined);
    expect(retryAfter({ "retry-after": new Date(NOW - 1_000).toUTCString() })).toBe(undefined);
    expect(retryAfter({})).toBe(undefined);
  });

  it("ends somewhere: longer than a month is a month", () => {
    expect(retryAfter({ "retry-after": "99999999999999999999" })).toBe(31 * 24 * 3_600_000);
  });

  it("is found in plain objects of any case, and in the response", () => {
    const plain = { status: 429, headers: { "Retry-After": "3" } };
    expect(classify(plain, { now: NOW }).retryAfter).toBe(3_000);
    const numeric = { status: 429, headers: { "retry-after": 4 } };
    expect(classify(numeric, { now: NOW }).retryAfter).toBe(4_000);
    const inner = { response: { status: 503, headers: new Headers({ "retry-after": "5" }) } };
    expect(classify(inner, { now: NOW }).retryAfter).toBe(5_000);
  });

  it("decides with x-should-retry, but not over a quota or a length", () => {
    const yes = { "x-should-retry": "true" };
    const no = { "x-should-retry": "false" };
    expect(classify(openAI(400, {}, yes))).toMatchObject({ kind: "invalid", retryable: true });
    expect(classify(openAI(503, {}, no))).toMatchObject({ kind: "server", retryable: false });
    expect(classify(openAI(429, {}, no))).toMatchObject({ kind: "rate-limit", retryable: false });
    expect(classify(openAI(429, { code: "insufficient_quota" }, yes)).retryable).toBe(false);
    expect(classify(openAI(400, { code: "context_length_exceeded" }, yes)).retryable).toBe(false);
  });
});

describe("networks", () => {
  it.each([
    ["ECONNREFUSED", "connect", "network", true],
    ["ENOTFOUND", "getaddrinfo", "network", true],
    ["EAI_AGAIN", "getaddrinfo", "network", true],
    ["ECONNRESET", "read", "network", false],
    ["ECONNRESET", "connect", "network", true],
    ["EPIPE", "write", "network", false],
    ["EHOSTUNREACH", "connect", "network", true],
    ["EHOSTUNREACH", "read", "network", false],
    ["ETIMEDOUT", "connect", "timeout", true],
    ["ETIMEDOUT", "read", "timeout", false],
    ["UND_ERR_SOCKET", undefined, "network", false],
    ["UND_ERR_HEADERS_TIMEOUT", undefined, "timeout", false],
    ["UND_ERR_BODY_TIMEOUT", undefined, "timeout", false],
    ["UND_ERR_CONNECT_TIMEOUT", undefined, "timeout", true],
    ["HPE_INVALID_CONSTANT", undefined, "network", false],
  ] as const)("%s of %s", (code, syscall, kind, notPerformed) => {
    const expected = { kind, notPerformed, retryable: true };
    expect(classify(system(code, syscall))).toMatchObject(expected);
    expect(classify(fetchFailed(system(code, syscall)))).toMatchObject(expected);
    const wrapped = new APIConnectionError({ cause: fetchFailed(system(code, syscall)) });
    expect(classify(wrapped)).toMatchObject(expected);
    expect(classify(new Error("mine", { cause: wrapped }))).toMatchObject(expected);
  });

  it("sees through several addresses that were tried", () => {
    const refused = system("ECONNREFUSED", "connect");
    const both = Object.assign(new AggregateError([refused, refused]), { code: "ECONNREFUSED" });
    expect(classify(fetchFailed(both))).toMatchObject({ kind: "network", notPerformed: true });
    const mixed = new AggregateError([refused, system("ECONNRESET", "read")]);
    expect(classify(mixed)).toMatchObject({
      kind: "network",
      notPerformed: false,
      retryable: true,
    });
    const bad = new AggregateError([refused, openAI(401)]);
    expect(classify(bad)).toMatchObject({ kind: "invalid", retryable: false, notPerformed: true });
    expect(classify(new AggregateError([refused, new Error("?")])).kind).toBe("unknown");
  });

  it("trusts no bad certificate a second time", () => {
    expect(classify(fetchFailed(system("CERT_HAS_EXPIRED")))).toMatchObject({
      kind: "invalid",
      retryable: false,
      notPerformed: true,
    });
  });

  it("takes OpenAI's and LangChain's words for it where there is no cause", () => {
    expect(classify(new APIConnectionError({ message: "x" })).kind).toBe("network");
    expect(classify(new OpenAI.APIConnectionTimeoutError()).kind).toBe("timeout");
    const langChains = Object.assign(new Error("Request timed out."), { name: "TimeoutError" });
    expect(classify(langChains)).toMatchObject({ kind: "timeout", retryable: true });
    expect(classify(new DOMException("late", "TimeoutError")).kind).toBe("timeout");
  });
});

describe("what was proven not done", () => {
  it.each([
    [400, true],
    [401, true],
    [404, true],
    [422, true],
    [429, true],
    [408, false],
    [409, false],
    [500, false],
    [503, false],
  ])("HTTP %s: %s", (status, notPerformed) => {
    expect(classify(openAI(status)).notPerformed).toBe(notPerformed);
  });

  it("is nothing that is merely unknown", () => {
    for (const error of [new Error("?"), new TypeError("x"), "text", undefined, null, 7, {}]) {
      expect(classify(error).notPerformed).toBe(false);
    }
  });
});

describe("bugs, and what nobody knows", () => {
  it.each([
    new TypeError("x is not a function"),
    new ReferenceError("x is not defined"),
    new SyntaxError("Unexpected token"),
    new RangeError("Invalid array length"),
    new (class Mine extends TypeError {})("mine"),
    Object.assign(new Error("from another realm"), { name: "TypeError" }),
    fetchFailed(Object.assign(new TypeError("Invalid URL"), { code: "ERR_INVALID_URL" })),
  ])("%s is a bug", (error) => {
    expect(classify(error)).toMatchObject({ kind: "bug", retryable: false });
  });

  it.each([["text"], [undefined], [null], [7], [{}], [new Error("?")], [Object.create(null)]])(
    "%s is unknown, and terminal",
    (thrown) => {
      expect(classify(thrown)).toMatchObject({ kind: "unknown", retryable: false });
    },
  );

  it("takes refused input for invalid", () => {
    const refused = z.object({ a: z.number() }).safeParse({ a: "x" }).error;
    expect(classify(refused).kind).toBe("invalid");
    expect(classify(new GraphRecursionError("too deep"))).toMatchObject({
      kind: "invalid",
      retryable: false,
    });
  });

  it("ends with causes that go round", () => {
    const error = new Error("round");
    error.cause = error;
    expect(classify(error).kind).toBe("unknown");
  });
});

describe("frameworks", () => {
  it("knows LangGraph's and LangChain's own", () => {
    const late = new NodeTimeoutError({ node: "n", elapsed: 5, kind: "run", runTimeout: 5 });
    expect(classify(late)).toMatchObject({ kind: "timeout", retryable: true });
    const tooLong = ContextOverflowError.fromError(openAI(400, { message: "too long" }));
    expect(classify(tooLong)).toMatchObject({
      kind: "context-overflow",
      retryable: false,
      notPerformed: true,
    });
    expect(classify(new ContextOverflowError()).kind).toBe("context-overflow");
    expect(classify(stampRetryable(new Error("odd"), true)).retryable).toBe(true);
    expect(classify(stampRetryable(new Error("odd"), false)).retryable).toBe(false);
    const stopped = Object.assign(new Error(""), { status: 429, rateLimitType: "stop" });
    expect(classify(stopped)).toMatchObject({ kind: "quota", retryable: false });
  });
});

describe("errors of holdfast", () => {
  it("waits for what called nothing, and counts it as no attempt", () => {
    expect(classify(new BreakerOpenError("b", NOW + 4_000), { now: NOW })).toMatchObject({
      kind: "overloaded",
      retryable: true,
      retryAfter: 4_000,
      counted: false,
      notPerformed: true,
    });
    expect(classify(new LimitExceededError("l", NOW + 400), { now: NOW })).toMatchObject({
      kind: "rate-limit",
      retryAfter: 400,
      counted: false,
    });
  });

  it("tries again what timed out, and nothing that was decided", () => {
    expect(classify(new AttemptTimeoutError("n", "run", 5)).retryable).toBe(true);
    expect(classify(new DatabaseUnavailableError("gone", { waited: 5 })).retryable).toBe(true);
    for (const error of [
      new DatabaseUnavailableError("gone"),
      new DeadlineExceededError(NOW, "x"),
      new BudgetExceededError({ budget: "b", unit: "usd", limit: 1, spent: 1, attempts: 1 }),
      new RejectedError("a", "t", undefined, undefined),
      new UnserializableError("a function", { channel: "c", path: "" }),
    ]) {
      expect(classify(error).retryable, error.name).toBe(false);
    }
  });

  it("is terminal once a policy within gave up, however it was wrapped", () => {
    const inner = markExhausted(openAI(503));
    for (const error of [
      inner,
      new Error("mine", { cause: inner }),
      new Error("outer", { cause: new Error("mine", { cause: inner }) }),
      new AggregateError([openAI(503), inner]),
    ]) {
      expect(classify(error)).toMatchObject({ exhausted: true, retryable: false });
    }
    expect(classify(inner).kind).toBe("server");
  });
});

describe("no failure", () => {
  const aborted = (reason?: unknown): AbortSignal => AbortSignal.abort(reason);

  it.each([
    new GraphInterrupt([]),
    new NodeInterrupt("wait"),
    new ParentCommand(new Command({})),
    new GraphDrained(),
  ])("is LangGraph's control flow: %s", (error) => {
    expect(isFailure(error)).toBe(false);
    expect(classify(error).retryable).toBe(false);
  });

  it("is the run's abort, whatever a client made of it", () => {
    const reason = new Error("stop");
    expect(isFailure(reason, aborted(reason))).toBe(false);
    expect(isFailure(new Error("mine", { cause: reason }), aborted(reason))).toBe(false);
    expect(isFailure(new Error("stop"), aborted("stop"))).toBe(false);
    expect(isFailure(new DOMException("x", "AbortError"), aborted())).toBe(false);
    expect(isFailure(new APIUserAbortError(), aborted(reason))).toBe(false);
    expect(isFailure(new ModelAbortError("x"), aborted(reason))).toBe(false);
    const langChains = Object.assign(new Error("Request was aborted."), { name: "AbortError" });
    expect(isFailure(langChains, aborted(reason))).toBe(false);
  });

  test("but a bug stays one in an aborted run, and an abort by others one in a run that goes on", () => {
    expect(isFailure(new TypeError("x"), aborted())).toBe(true);
    const abort = new DOMException("x", "AbortError");
    expect(isFailure(abort, new AbortController().signal)).toBe(true);
    expect(classify(abort)).toMatchObject({ kind: "unknown", retryable: false });
  });
});

describe("a classifier of the user's", () => {
  it("has the first word, and leaves the rest", () => {
    const mine = classifyWith.bind(undefined, (error) =>
      error instanceof RangeError ? { kind: "server", reason: "flaky" } : undefined,
    );
    expect(mine(new RangeError("x"))).toEqual({
      kind: "server",
      retryable: true,
      reason: "flaky",
      notPerformed: false,
      counted: true,
      exhausted: false,
    });
    expect(mine(new TypeError("x")).kind).toBe("bug");
    expect(mine(markExhausted(new RangeError("x"))).retryable).toBe(false);
  });
});
