/**
 * The outside world of an agent, as a loopback HTTP service: payments, shipping labels, stock, e-mails,
 * flights and hotels, all real requests, none with consequences. It counts what it was asked to
 * do, and fails on demand, also in the ways that leave a client in doubt.
 *
 *     POST /refund            {"order": "o1", "amount": 20}   does it: {"id": "re_1", "order": ...}
 *     GET  /refund?order=o1                                   what was done, by any of its details
 *     GET  /keys/KEY                                          what was done under an Idempotency-Key
 *     GET  /stock/SKU                                         {"sku": "mug", "inStock": 3}
 *
 * So for each of `charge`, `refund`, `label`, `reserve`, `email`, `flight`, `hotel`, and for those
 * that take one back: `void-label` (`{"label": "lb_1"}`), `release`, `cancel-flight`, `cancel-hotel`.
 *
 * Invariants
 *   W1  Who sends an `Idempotency-Key` again gets the first answer, and nothing is done again; with
 *       other details it is refused (422). A world that ignores keys does it again, every time.
 *   W2  What was done is in the ledger before anybody is answered; nothing ever leaves it.
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { FaultScript, type DelayFault, type Scripted, type StatusFault } from "./faults.ts";
import {
  OPERATIONS,
  UNDOES,
  WorldLedger,
  type Details,
  type OperationKind,
  type Performed,
} from "./world-ledger.ts";

export type { Details, OperationKind, Performed } from "./world-ledger.ts";

/** What somebody asked the world to do, done or not. */
export interface WorldRequest {
  kind: OperationKind;
  details: Details;
  key: string | undefined;
}

/** Before or after it is done: only the client can't tell which. */
type When = "before" | "after";

/** What goes wrong with a request to do something. */
export type WorldFault = (
  | (StatusFault & {
      /** True for an error although it was done; default false. */
      performs?: boolean;
    })
  /** Never answers. */
  | { hang: When }
  /** Cuts the connection. */
  | { drop: When }
  | DelayFault
) &
  Scripted<WorldRequest> & {
    /** Only requests for this; default all. */
    on?: OperationKind;
  };

export interface FakeWorldOptions {
  /** What is in stock, by SKU; default 100 of everything. */
  stock?: Readonly<Record<string, number>>;
  /** True for a world that knows nothing of `Idempotency-Key`; default false. */
  ignoresKeys?: boolean;
  /** Where it keeps what it has done, so that it survives its own end; default in memory. */
  file?: string;
  /** True for a world that shall not keep the process alive; default false. */
  background?: boolean;
}

export interface FakeWorld extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** All that was asked, in the order of arrival: repetitions and what failed included. */
  readonly requests: readonly WorldRequest[];
  /** What was done, in its order: all of it, or of one kind, or for one order and the like. */
  performed(kind?: OperationKind, details?: Details): Performed[];
  /** What was done of one kind and not taken back since. */
  standing(kind: OperationKind, details?: Details): Performed[];
  /** How often each thing was done; what never was is not there. */
  counts(): Partial<Record<OperationKind, number>>;
  /** Scripts a fault for requests to come; the function returned takes it back. */
  fail(fault: WorldFault): () => void;
  /** Refuses connections from now on, and cuts those there are. */
  stop(): Promise<void>;
  /** Accepts connections again, under the same URL. */
  start(): Promise<void>;
  /** Ends it, hanging connections too. May be called twice. */
  close(): Promise<void>;
}

export async function fakeWorld(options: FakeWorldOptions = {}): Promise<FakeWorld> {
  const ledger = new WorldLedger(options.file);
  const requests: WorldRequest[] = [];
  const script = new FaultScript<WorldRequest, WorldFault>();
  const closing = new AbortController();
  const server = createServer((request, response) => {
    route(request, response).catch((error: unknown) => {
      if (!response.headersSent) send(response, 500, { error: String(error) });
      else response.destroy();
    });
  });
  if (options.background === true) server.on("connection", (socket) => socket.unref());

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://localhost");
    const [, first = "", second] = url.pathname.split("/").map(decodeURIComponent);
    if (request.method === "GET" && first === "keys" && second !== undefined) {
      const found = options.ignoresKeys === true ? undefined : ledger.byKey(second);
      return found === undefined ? send(response, 404, { error: "unknown key" }) : show(found);
    }
    if (request.method === "GET" && first === "stock" && second !== undefined)
      return send(response, 200, { sku: second, inStock: inStock(second) });
    if (!isKind(first)) return send(response, 404, { error: `nobody does "${first}" here` });
    if (request.method === "GET") {
      const asked = Object.fromEntries(url.searchParams);
      return send(response, 200, performed(first, asked).map(answerOf));
    }
    if (request.method !== "POST") return send(response, 405, { error: "POST or GET" });
    return act(first, request, response);

    function show(found: Performed): void {
      send(response, 200, answerOf(found));
    }
  }

  async function act(
    kind: OperationKind,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const details = await readDetails(request);
    if (response.destroyed) return;
    if (details === undefined) return send(response, 400, { error: "a JSON object is needed" });
    const header = request.headers["idempotency-key"];
    const asked: WorldRequest = { kind, details, key: header?.toString() };
    requests.push(asked);

    const fault = script.take(asked);
    if (fault && "delay" in fault)
      await delay(fault.delay, undefined, { signal: closing.signal }).catch(() => {});
    const isLost =
      fault !== undefined &&
      (("status" in fault && fault.performs !== true) ||
        ("hang" in fault && fault.hang === "before") ||
        ("drop" in fault && fault.drop === "before"));
    const [status, answer] = isLost ? [500, {}] : perform(asked);
    if (fault && "status" in fault) {
      for (const [name, value] of Object.entries(fault.headers ?? {}))
        response.setHeader(name, value);
      return send(response, fault.status, fault.body ?? { error: `scripted ${fault.status}` });
    }
    if (fault && "hang" in fault) return;
    if (fault && "drop" in fault) {
      response.destroy();
      return;
    }
    send(response, status, answer);
  }

  /** Invariants W1 and W2. */
  function perform({ kind, details, key }: WorldRequest): [status: number, answer: unknown] {
    const earlier =
      key === undefined || options.ignoresKeys === true ? undefined : ledger.byKey(key);
    if (earlier !== undefined) {
      return earlier.kind === kind && isDeepStrictEqual(earlier.details, details)
        ? [200, answerOf(earlier)]
        : [422, { error: "this key was used for something else" }];
    }
    const undone = UNDOES[kind];
    if (undone !== undefined) {
      const id = details[undone];
      if (ledger.find(String(id))?.kind !== undone)
        return [404, { error: `there is no ${undone} ${String(id)}` }];
    }
    if (kind === "reserve" && inStock(String(details["sku"])) < quantityOf(details))
      return [409, { error: "out of stock" }];
    return [200, answerOf(ledger.perform(kind, details, key))];
  }

  function inStock(sku: string): number {
    const reserved = standing("reserve", { sku }).map((each) => quantityOf(each.details));
    return (options.stock?.[sku] ?? 100) - reserved.reduce((sum, each) => sum + each, 0);
  }

  function performed(kind?: OperationKind, details: Details = {}): Performed[] {
    const all = kind === undefined ? ledger.all : ledger.of(kind);
    return all.filter((each) =>
      Object.entries(details).every(
        ([name, value]) => String(each.details[name]) === String(value),
      ),
    );
  }

  function standing(kind: OperationKind, details?: Details): Performed[] {
    const undone = new Set(
      ledger.all.filter((each) => UNDOES[each.kind] === kind).map((each) => each.details[kind]),
    );
    return performed(kind, details).filter(({ id }) => !undone.has(id));
  }

  let port = 0;
  const start = async (): Promise<void> => {
    if (server.listening) return;
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    if (options.background === true) server.unref();
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error("The world has no port.");
    port = address.port;
  };
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
  const close = (): Promise<void> => {
    closing.abort();
    return stop();
  };
  await start();
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    performed,
    standing,
    counts: () => {
      const counts: Partial<Record<OperationKind, number>> = {};
      for (const { kind } of ledger.all) counts[kind] = (counts[kind] ?? 0) + 1;
      return counts;
    },
    fail: ({ on, when, ...fault }) =>
      script.add({
        ...fault,
        when: (request) => (on ?? request.kind) === request.kind && (when?.(request) ?? true),
      }),
    stop,
    start,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function isKind(name: string): name is OperationKind {
  return Object.hasOwn(OPERATIONS, name);
}

function answerOf({ id, details }: Performed): Record<string, unknown> {
  return { ...details, id };
}

function quantityOf(details: Details): number {
  return Number(details["quantity"] ?? 1);
}

async function readDetails(request: IncomingMessage): Promise<Details | undefined> {
  try {
    const body: unknown = JSON.parse(await text(request));
    return typeof body === "object" && body !== null && !Array.isArray(body)
      ? (body as Details)
      : undefined;
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(typeof body === "string" ? body : JSON.stringify(body));
}
