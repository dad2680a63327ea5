/**
 * One Postgres for the whole run, started when the first test asks for it.
 *
 * Vitest fixes what it provides to tests before it knows which of them will run, so this provides a
 * door instead of a URL: who connects to it gets the URL of the server and of a new database.
 */

import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import { startPostgres } from "./postgres.ts";
import type { Postgres } from "./postgres.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** The loopback port of the door; use `createDatabase()` of `databases.ts` instead. */
    postgresDoor: number;
  }
}

/** What the door answers, as JSON. */
export type DoorAnswer = { server: string; database: string } | { error: string };

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let postgres: Promise<Postgres> | undefined;
  const answer = async (): Promise<DoorAnswer> => {
    try {
      // A crash of the machine may lose these databases: nothing in them outlives the run anyway.
      postgres ??= startPostgres({ settings: { fsync: "off", full_page_writes: "off" } });
      const server = await postgres;
      return { server: server.url, database: await server.createDatabase() };
    } catch (error) {
      return { error: String(error) };
    }
  };

  const door = createServer((socket) => {
    void answer().then((said) => socket.end(JSON.stringify(said)));
    socket.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
  project.provide("postgresDoor", (door.address() as AddressInfo).port);

  return async () => {
    door.close();
    const started = await postgres?.catch(() => undefined);
    await started?.stop();
  };
}
