/**
 * A loopback server that speaks OpenAI's chat completions, so that tests run the real client code
 * without a network: answers whole or streamed, tool calls, structured output, usage, and faults
 * on demand.
 *
 * Answers are computed from the prompt (`answers/`), equal for equal requests. It listens on
 * 127.0.0.1, on a free port, and keeps nothing after `close()`.
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { computeAnswer } from "./answers/answer.ts";
import { FaultScript, type Fault, type StatusFault } from "./faults.ts";
import {
  completionBody,
  completionChunks,
  errorBody,
  type ChatAnswer,
  type ChatRequest,
  type Envelope,
} from "./wire.ts";

export interface FakeOpenAIOptions {
  /**
   * What the model says. Where it returns `undefined`, and by default, the answer is computed from
   * the request.
   */
  answer?: (
    request: ChatRequest,
  ) => string | ChatAnswer | undefined | Promise<string | ChatAnswer | undefined>;
  /** Milliseconds before each answer; default 0. */
  latency?: number;
  /** Ids at /v1/models; default: a few that OpenAI has. A request may name any model. */
  models?: readonly string[];
  /** True for a server that shall not keep the process alive; default false. */
  background?: boolean;
}

/** One request to /v1/chat/completions, in the order of arrival. */
export interface RecordedRequest {
  body: ChatRequest;
  headers: Record<string, string | string[] | undefined>;
  /** `Date.now()` at arrival. */
  at: number;
  /**
   * What became of it. `cut`: the server broke the connection; `aborted`: the client did, before
   * the answer was complete.
   */
  outcome: "pending" | "answered" | "failed" | "cut" | "aborted";
}

export interface FakeOpenAI extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** What to give to a client: the URL with `/v1`. */
  readonly baseURL: string;
  readonly requests: readonly RecordedRequest[];
  /** Scripts a fault for requests to come; the function returned takes it back. */
  fail(fault: Fault): () => void;
  /** Ends the server and every connection, hanging ones too. May be called twice. */
  close(): Promise<void>;
}

const MODELS = ["gpt-4o", "gpt-4o-mini", "gpt-4.1"];

export async function fakeOpenAI(options: FakeOpenAIOptions = {}): Promise<FakeOpenAI> {
  const requests: RecordedRequest[] = [];
  const script = new FaultScript<ChatRequest, Fault>();
  const closing = new AbortController();
  const server = createServer((request, response) => {
    route(request, response).catch((error: unknown) => {
      if (!response.headersSent) sendJson(response, 500, errorBody(500, String(error)));
      else response.destroy();
    });
  });

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (request.method === "POST" && pathname === "/v1/chat/completions")
      return complete(request, response);
    if (request.method === "GET" && pathname === "/v1/models") {
      const data = (options.models ?? MODELS).map((id) => ({
        id,
        object: "model",
        created: 0,
        owned_by: "holdfast",
      }));
      return sendJson(response, 200, { object: "list", data });
    }
    sendJson(response, 404, errorBody(404, `There is nothing at ${request.method} ${pathname}.`));
  }

  async function complete(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chat = await readJson(request);
    if (response.destroyed) return;
    if (!isChatRequest(chat))
      return sendJson(response, 400, errorBody(400, "A model and at least one message is needed."));

    const { headers } = request;
    const record: RecordedRequest = { body: chat, headers, at: Date.now(), outcome: "pending" };
    const id = `chatcmpl-${requests.push(record)}`;
    response.once("close", () => {
      if (record.outcome === "pending") record.outcome = "aborted";
    });

    const fault = script.take(chat);
    if (fault && "status" in fault) {
      record.outcome = "failed";
      return sendFault(response, fault);
    }
    if (fault && "hang" in fault && fault.hang === true) return;

    const wait = (options.latency ?? 0) + (fault && "delay" in fault ? fault.delay : 0);
    if (wait > 0) await delay(wait, undefined, { signal: closing.signal }).catch(() => {});
    const said = (await options.answer?.(chat)) ?? computeAnswer(chat);
    if (response.destroyed) return;

    const answer = typeof said === "string" ? { content: said } : said;
    const envelope = { id, model: chat.model, created: Math.floor(record.at / 1000) };
    const type = chat.stream ? "text/event-stream" : "application/json";
    response.writeHead(200, { "content-type": type, "x-request-id": id });
    const parts = partsOf(envelope, chat, answer);
    if (!fault || "delay" in fault) {
      record.outcome = "answered";
      for (const part of parts) response.write(part);
      response.end();
      return;
    }
    for (const part of firstHalf(parts)) response.write(part);
    if ("hang" in fault) return;
    record.outcome = "cut";
    // Only once the half is on its way: destroying at once would drop it too.
    setImmediate(() => response.destroy());
  }

  if (options.background) server.on("connection", (socket) => socket.unref());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  if (options.background) server.unref();
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("The server has no port.");
  const url = `http://127.0.0.1:${address.port}`;

  let closed: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closed ??= new Promise<void>((resolve) => {
      closing.abort();
      server.close(() => resolve());
      server.closeAllConnections();
    }));
  return {
    url,
    baseURL: `${url}/v1`,
    requests,
    fail: (fault) => script.add(fault),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  try {
    return JSON.parse(await text(request));
  } catch {
    return undefined;
  }
}

/** Only as far as the server relies on it; the rest is the client's business. */
function isChatRequest(body: unknown): body is ChatRequest {
  if (typeof body !== "object" || body === null) return false;
  const { model, messages } = body as Partial<ChatRequest>;
  return typeof model === "string" && Array.isArray(messages) && messages.length > 0;
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function sendFault(response: ServerResponse, fault: StatusFault): void {
  const { status, headers, body = errorBody(status) } = fault;
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}

/** What is written to the connection: an event for each chunk of a stream, or one whole body. */
function partsOf(envelope: Envelope, request: ChatRequest, answer: ChatAnswer): string[] {
  if (!request.stream) return [JSON.stringify(completionBody(envelope, request, answer))];
  const chunks = [...completionChunks(envelope, request, answer)];
  return [...chunks.map((chunk) => JSON.stringify(chunk)), "[DONE]"].map(
    (data) => `data: ${data}\n\n`,
  );
}

/** Half of a streamed answer's events, or half the characters of one that is sent whole. */
function firstHalf(parts: readonly string[]): string[] {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return [only.slice(0, only.length >> 1)];
  return parts.slice(0, parts.length >> 1);
}
