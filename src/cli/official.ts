/** LangGraph's own savers, which are not dependencies of ours: loaded where a user has them. */

import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { MissingDependencyError } from "../errors.ts";
import type { DatabaseUrl } from "./database-url.ts";

export interface OfficialSaver {
  saver: BaseCheckpointSaver;
  close(): Promise<void>;
}

/** What is used of both packages. */
interface OfficialClass {
  fromConnString(
    url: string,
    options?: { schema: string },
  ): BaseCheckpointSaver & {
    /** better-sqlite3's, in the one for SQLite. */
    db?: { close(): unknown };
    end?(): Promise<void>;
  };
}

export const OFFICIAL_PACKAGES = {
  sqlite: "@langchain/langgraph-checkpoint-sqlite",
  postgres: "@langchain/langgraph-checkpoint-postgres",
} as const;

/** @throws {MissingDependencyError} the package is not installed */
export async function openOfficial(database: DatabaseUrl, folder: string): Promise<OfficialSaver> {
  const name = OFFICIAL_PACKAGES[database.kind];
  const module = await importFrom(name, folder);
  const saver =
    database.kind === "sqlite"
      ? (module["SqliteSaver"] as OfficialClass).fromConnString(database.path)
      : (module["PostgresSaver"] as OfficialClass).fromConnString(
          database.url,
          ...(database.schema === undefined ? [] : [{ schema: database.schema }]),
        );
  return {
    saver,
    close: async () => {
      saver.db?.close();
      await saver.end?.();
    },
  };
}

/** Beside us, or in the project: `npx` may have put us elsewhere. */
async function importFrom(name: string, folder: string): Promise<Record<string, unknown>> {
  try {
    return (await import(name)) as Record<string, unknown>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
  }
  try {
    const path = createRequire(join(folder, "package.json")).resolve(name);
    return (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (cause) {
    throw new MissingDependencyError(
      `Reading an official saver's database needs its package: npm install ${name}`,
      { cause },
    );
  }
}
