/** The outside world as an HTTP service of the test's: it counts charges, and can be told to do so and fall silent. */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface ChargeServer {
  readonly url: string;
  /** Idempotency keys of the charges, in their order; each was performed. */
  readonly charges: string[];
  /** Called before a charge is performed, and after, before it is answered. */
  before: () => Promise<void> | void;
  after: () => Promise<void> | void;
  /** What `find` answers; default the truth. */
  find: ((key: string) => unknown) | undefined;
}

export async function openChargeServer(): Promise<ChargeServer> {
  const http = createServer((request, response) => void answer(request, response));
  const server: ChargeServer = {
    url: "",
    charges: [],
    before: () => undefined,
    after: () => undefined,
    find: undefined,
  };
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const key = String(request.headers["idempotency-key"]);
    if (request.url === "/charge") {
      await server.before();
      server.charges.push(key);
      await server.after();
      response.end(JSON.stringify(`charge ${server.charges.length}`));
      return;
    }
    const at = server.charges.indexOf(key);
    const truth = at < 0 ? { done: false } : { done: true, result: `charge ${at + 1}` };
    response.end(JSON.stringify(server.find === undefined ? truth : server.find(key)));
  }
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  onTestFinished(() => {
    http.closeAllConnections();
    http.close();
  });
  const { port } = http.address() as AddressInfo;
  return Object.assign(server, { url: `http://127.0.0.1:${port}` });
}
