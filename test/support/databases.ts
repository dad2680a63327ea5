/** Postgres for a test: `await createDatabase()` in a test file is all it takes. */

import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { inject } from "vitest";
import type { DoorAnswer } from "./global-setup.ts";

/** The URL of a new, empty database on the server that the test run shares. */
export async function createDatabase(): Promise<string> {
  return (await ask()).database;
}

/** The shared server's own URL (superuser, database `postgres`), for tests about the server. */
export async function postgresUrl(): Promise<string> {
  return (await ask()).server;
}

async function ask(): Promise<{ server: string; database: string }> {
  const said = await text(connect(inject("postgresDoor"), "127.0.0.1"));
  const answer = JSON.parse(said) as DoorAnswer;
  if ("error" in answer) throw new Error(answer.error);
  return answer;
}
