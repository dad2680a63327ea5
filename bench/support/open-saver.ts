/**
 * The savers under test, opened as their users would. Loading a saver's modules and opening it are
 * two steps: a cold measurement starts its clock in between. Drivers are loaded in the first step
 * for all alike, though one saver would import its driver at once and another when it first needs it.
 */

import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { FloorSaver } from "./floor-saver.ts";
import type { Place, PostgresPlace, SqlitePlace } from "./place.ts";

export interface OpenSaver {
  readonly saver: BaseCheckpointSaver;
  /** Creates the tables, where the saver does not do so by itself. */
  setup(): Promise<void>;
  end(): Promise<void>;
}

/** Loads the modules and connects to nothing; the returned function opens the saver. */
export async function loadSaver(place: Place): Promise<() => OpenSaver> {
  if (place.dialect === "memory") return () => openFloor(new FloorSaver());
  if (place.dialect === "sqlite") return loadSqlite(place);
  return loadPostgres(place);
}

/** Runs `use` with a saver whose tables exist, and closes it afterwards. */
export async function withSaver<T>(
  place: Place,
  use: (saver: BaseCheckpointSaver) => Promise<T>,
): Promise<T> {
  const open = (await loadSaver(place))();
  try {
    await open.setup();
    return await use(open.saver);
  } finally {
    await open.end();
  }
}

export function openFloor(saver: FloorSaver): OpenSaver {
  return { saver, setup: async () => {}, end: async () => {} };
}

async function loadSqlite({ maker, path }: SqlitePlace): Promise<() => OpenSaver> {
  if (maker === "official") {
    const { openOfficialSqlite } = await import("./official-sqlite.ts");
    openOfficialSqlite(":memory:").db.close();
    return () => {
      const { saver, db } = openOfficialSqlite(path);
      return { saver, setup: async () => {}, end: async () => db.close() };
    };
  }
  await import("node:sqlite");
  const { SqliteSaver } = await import("holdfast/sqlite");
  const synchronous = maker === "holdfast-full" ? "full" : "normal";
  return () => {
    const saver = SqliteSaver.fromConnString(path, { synchronous });
    return { saver, setup: () => saver.setup(), end: () => saver.end() };
  };
}

async function loadPostgres(place: PostgresPlace): Promise<() => OpenSaver> {
  await import("pg");
  const { PostgresSaver } =
    place.maker === "official"
      ? await import("@langchain/langgraph-checkpoint-postgres")
      : await import("holdfast/postgres");
  return () => {
    const saver = PostgresSaver.fromConnString(place.url, { schema: place.schema });
    return { saver, setup: () => saver.setup(), end: () => saver.end() };
  };
}
