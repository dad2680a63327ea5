/** A loopback server for tests: each request is answered by `handle`, and counted. */

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Loopback extends AsyncDisposable {
  readonly url: string;
  readonly requests: number;
  close(): Promise<void>;
}

export async function loopback(
  handle: (request: IncomingMessage, response: ServerResponse, number: number) => void,
): Promise<Loopback> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    handle(request, response, requests);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  };
  return {
    url: `http://127.0.0.1:${port}`,
    get requests() {
      return requests;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The URL of a port that nobody listens on. */
export async function deadUrl(): Promise<string> {
  const server = await loopback(() => undefined);
  await server.close();
  return server.url;
}

/** What a promise rejects with. */
export async function rejection(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error("It did not fail.");
}
