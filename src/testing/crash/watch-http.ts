/** HTTP requests as durable operations, by what Node's clients publish about themselves. */

import { subscribe } from "node:diagnostics_channel";
import type { ClientRequest } from "node:http";
import { rememberStack, type Operations } from "./operations.ts";

/** As undici publishes it. */
interface UndiciRequest {
  method: string;
  origin: string;
  path: string;
}

/** An operation has taken effect when the answer's head is here, or all hope for it is lost. */
export function watchHttp(operations: Operations): void {
  const over = new WeakMap<object, () => void>();
  const end = (message: unknown): void => {
    const { request } = message as { request: object };
    const tell = over.get(request);
    over.delete(request);
    tell?.();
  };

  // undici sends from its own queue: only here is it known who asked.
  const { fetch } = globalThis;
  globalThis.fetch = (...args) => rememberStack(() => fetch(...args));

  subscribe("undici:request:create", (message) => {
    const { request } = message as { request: UndiciRequest };
    const what = `${request.method} ${request.origin}${request.path}`;
    over.set(request, operations.begin(what));
  });
  subscribe("undici:request:headers", end);
  subscribe("undici:request:error", end);

  subscribe("http.client.request.created", (message) => {
    const { request } = message as { request: ClientRequest };
    const host = request.getHeader("host") ?? request.host;
    const what = `${request.method} ${request.protocol}//${String(host)}${request.path}`;
    over.set(request, operations.begin(what));
  });
  subscribe("http.client.response.finish", end);
  subscribe("http.client.request.error", end);
}
