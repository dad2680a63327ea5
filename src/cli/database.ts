/** Which database: `--db`, then HOLDFAST_DB, then `holdfast.db` in the project. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseUnavailableError, NotFoundError, isHoldfastError } from "../errors.ts";
import type { DurableSaver } from "../step-store.ts";
import type { ThreadStore } from "../store.ts";
import { describeDatabase, parseDatabaseUrl } from "./database-url.ts";
import type { DatabaseUrl } from "./database-url.ts";

export type Saver = DurableSaver & ThreadStore;

/** Where the project's threads are, and who said so. */
export function chooseDatabase(
  asked: string | undefined,
  shell: string | undefined,
  project: { folder: string; env: Readonly<Record<string, string>> },
  cwd: string,
): { database: DatabaseUrl; chosen: boolean } {
  if (asked !== undefined) {
    return { database: parseDatabaseUrl(asked, "--db", cwd), chosen: true };
  }
  if (shell !== undefined && shell !== "") {
    return { database: parseDatabaseUrl(shell, "HOLDFAST_DB", cwd), chosen: true };
  }
  const written = project.env["HOLDFAST_DB"];
  if (written !== undefined && written !== "") {
    return { database: parseDatabaseUrl(written, "HOLDFAST_DB", project.folder), chosen: true };
  }
  return {
    database: { kind: "sqlite", path: join(project.folder, "holdfast.db") },
    chosen: false,
  };
}

/** False for a SQLite file that is not there yet; a server is asked by connecting. */
export async function databaseExists(database: DatabaseUrl): Promise<boolean> {
  if (database.kind === "postgres") return true;
  return (await stat(database.path).catch(() => undefined)) !== undefined;
}

/** Looking something up must not leave an empty database behind. */
export async function mustExist(database: DatabaseUrl): Promise<void> {
  if (await databaseExists(database)) return;
  throw new NotFoundError(
    `There is no database ${describeDatabase(database)} yet: \`holdfast run\` makes one, and --db names another.`,
  );
}

/**
 * Opens the saver, with its tables.
 * @param onNotice told what a user should know once
 */
export async function openSaver(
  database: DatabaseUrl,
  onNotice: (message: string) => void,
): Promise<Saver> {
  const saver = await makeSaver(database, onNotice);
  try {
    await saver.setup();
  } catch (error) {
    await saver.end().catch(() => {});
    const where = describeDatabase(database);
    if (!isHoldfastError(error, "DATABASE_UNAVAILABLE") || error.message.includes(where))
      throw error;
    throw new DatabaseUnavailableError(`${where}: ${error.message}`, { cause: error });
  }
  return saver;
}

async function makeSaver(
  database: DatabaseUrl,
  onNotice: (message: string) => void,
): Promise<Saver> {
  if (database.kind === "sqlite") {
    const { SqliteSaver } = await import("../../checkpointers/sqlite/index.ts");
    return SqliteSaver.fromConnString(database.path, { onNotice });
  }
  const { inspect } = await import("./inspect.ts");
  // Says within seconds what a run would go on trying for half a minute.
  await inspect(database);
  const { PostgresSaver } = await import("../../checkpointers/postgres/index.ts");
  const { url, schema } = database;
  return PostgresSaver.fromConnString(url, {
    onNotice,
    ...(schema === undefined ? {} : { schema }),
  });
}
