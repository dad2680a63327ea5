/** The savers that the suites run over, each new and empty. */

import { MemorySaver } from "@langchain/langgraph";
import { PostgresSaver as OfficialPostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import { SqliteSaver as OfficialSqliteSaver } from "@langchain/langgraph-checkpoint-sqlite";
import { PostgresSaver } from "../../checkpointers/postgres/index.ts";
import { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import type { SaverUnderTest } from "../conformance/history.ts";
import { createDatabase } from "../support/databases.ts";

export const memory = (): SaverUnderTest => ({ saver: new MemorySaver() });

export function officialSqlite(): SaverUnderTest {
  return { saver: OfficialSqliteSaver.fromConnString(":memory:") };
}

export function sqlite(): SaverUnderTest {
  const saver = SqliteSaver.fromConnString(":memory:");
  return { saver, close: () => saver.end() };
}

export async function officialPostgres(): Promise<SaverUnderTest> {
  const saver = OfficialPostgresSaver.fromConnString(await createDatabase());
  await saver.setup();
  return { saver, close: () => saver.end() };
}

export async function postgres(): Promise<SaverUnderTest> {
  const saver = PostgresSaver.fromConnString(await createDatabase());
  return { saver, close: () => saver.end() };
}
