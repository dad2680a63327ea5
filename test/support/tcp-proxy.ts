/** A wire that a test can cut, or let go dead without anybody being told. */

import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface TcpProxy {
  /** The given URL, through the proxy. */
  readonly url: string;
  /** Swallows all that comes from now on, on open connections and new ones; nothing is closed. */
  blackHole(): void;
  /** New connections work again; those that were swallowed stay dead, as on a real network. */
  heal(): void;
  /** Resets all connections. */
  cut(): void;
  /** Settles when so many bytes have been swallowed: something waits for an answer. */
  swallowed(count: number): Promise<void>;
}

export async function startTcpProxy(url: string): Promise<TcpProxy> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let isDead = false;
  let bytes = 0;
  let onBytes: (() => void) | undefined;
  // Half-open: the end of a swallowed connection is not answered with ours.
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({
      port: Number(target.port),
      host: target.hostname,
      allowHalfOpen: true,
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      // A reset is part of the game.
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
    }
    // A connection that was open when the wire went dead never comes back.
    let isLost = isDead;
    const pipe = (from: Socket, to: Socket): void => {
      from.on("data", (data) => {
        isLost ||= isDead;
        if (!isLost) to.write(data);
        else if (from === client) {
          bytes += data.length;
          onBytes?.();
        }
      });
      from.on("end", () => {
        isLost ||= isDead;
        if (!isLost) to.end();
      });
    };
    pipe(client, upstream);
    pipe(upstream, client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  return {
    url: Object.assign(new URL(url), { port: String((server.address() as AddressInfo).port) }).href,
    blackHole: () => {
      isDead = true;
      bytes = 0;
    },
    heal: () => (isDead = false),
    cut,
    swallowed: (count) =>
      new Promise((resolve) => {
        onBytes = () => {
          if (bytes < count) return;
          onBytes = undefined;
          resolve();
        };
        onBytes();
      }),
  };
}
