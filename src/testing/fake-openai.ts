/**
 * A loopback server that speaks OpenAI's chat completions and embeddings, so that tests run the real
 * client code without a network: answers whole or streamed, tool calls, structured output, usage, and
 * faults on demand.
 *
 * Answers are computed from the prompt (`answers/`), equal for equal requests. It listens on
 * 127.0.0.1, on a free port, and keeps nothing after `close()`.
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { computeAnswer } from "./answers/answer.ts";
import { embeddingBody, isEmbeddingRequest, type EmbeddingRequest } from "./embeddings.ts";
import {
  FaultScript,
  type EmbeddingFault,
  type Fault,
  type FaultKind,
  type StatusFault,
} from "./faults.ts";
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

/** One request, in the order of arrival. */
export interface RecordedRequest<Body = ChatRequest> {
  body: Body;
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
  /** To /v1/chat/completions. */
  readonly requests: readonly RecordedRequest[];
  /** To /v1/embeddings. */
  readonly embeddings: readonly RecordedRequest<EmbeddingRequest>[];
  /**
   * Scripts a fault for requests to come, for chat completions or with `on: "embeddings"` for those; the
   * function returned takes it back.
   */
  fail(fault: Fault | EmbeddingFault): () => void;
  /** Ends the server and every connection, hanging ones too. May be called twice. */
  close(): Promise<void>;
}

const MODELS = ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "text-embedding-3-small"];

export async function fakeOpenAI(options: FakeOpenAIOptions = {}): Promise<FakeOpenAI> {
  const requests: RecordedRequest[] = [];
  const embeddings: RecordedRequest<EmbeddingRequest>[] = [];
  const script = new FaultScript<ChatRequest, Fault>();
  const embeddingScript = new FaultScript<EmbeddingRequest, EmbeddingFault>();
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
    if (request.method === "POST" && pathname === "/v1/embeddings") return embed(request, response);
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

    const record = recordOf(request, chat);
    const id = `chatcmpl-${requests.push(record)}`;
    await serve(response, record, script.take(chat), async () => {
      const said = (await options.answer?.(chat)) ?? computeAnswer(chat);
      const answer = typeof said === "string" ? { content: said } : said;
      const envelope = { id, model: chat.model, created: Math.floor(record.at / 1000) };
      const type = chat.stream ? "text/event-stream" : "application/json";
      return { id, type, parts: partsOf(envelope, chat, answer) };
    });
  }

  async function embed(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readJson(request);
    if (response.destroyed) return;
    if (!isEmbeddingRequest(body))
      return sendJson(response, 400, errorBody(400, "A model and at least one text is needed."));

    const record = recordOf(request, body);
    const id = `embd-${embeddings.push(record)}`;
    await serve(response, record, embeddingScript.take(body), async () => {
      return { id, type: "application/json", parts: [JSON.stringify(embeddingBody(body))] };
    });
  }

  /** Answers, or fails as scripted. */
  async function serve(
    response: ServerResponse,
    record: RecordedRequest<unknown>,
    fault: FaultKind | undefined,
    compute: () => Promise<{ id: string; type: string; parts: string[] }>,
  ): Promise<void> {
    response.once("close", () => {
      if (record.outcome === "pending") record.outcome = "aborted";
    });
    if (fault && "status" in fault) {
      record.outcome = "failed";
      return sendFault(response, fault);
    }
    if (fault && "hang" in fault && fault.hang === true) return;

    const wait = (options.latency ?? 0) + (fault && "delay" in fault ? fault.delay : 0);
    if (wait > 0) await delay(wait, undefined, { signal: closing.signal }).catch(() => {});
    const { id, type, parts } = await compute();
    if (response.destroyed) return;

    response.writeHead(200, { "content-type": type, "x-request-id": id });
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
    embeddings,
    fail: (fault) => (fault.on === "embeddings" ? embeddingScript.add(fault) : script.add(fault)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function recordOf<Body>({ headers }: IncomingMessage, body: Body): RecordedRequest<Body> {
  return { body, headers, at: Date.now(), outcome: "pending" };
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
