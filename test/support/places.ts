/** The two databases as tests see them: `describe.each(PLACES)("%s", (_, newPlace) => ...)`. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { createDatabase } from "./databases.ts";
import type { EngineName } from "./engines.ts";
import { openSaver } from "./open-saver.ts";

export interface Place {
  /** As `openSaver` takes it, also in another process. */
  readonly url: string;
  /** A saver of its own; ended with the test. */
  open(options?: Parameters<typeof openSaver>[1]): HoldfastSaver;
}

export const PLACES: [name: string, newPlace: () => Promise<Place>][] = [
  ["SQLite", () => Promise.resolve(placeAt(`sqlite:${newFile()}`))],
  ["Postgres", async () => placeAt(await createDatabase())],
];

/** `describe.each(SITES)("... on %s", (_, newPlace, engine) => ...)`: each database with each engine that it can have. */
export const SITES: [name: string, newPlace: () => Promise<Place>, engine: EngineName][] =
  PLACES.flatMap(([name, newPlace]): typeof SITES =>
    name === "Postgres"
      ? [
          [name, newPlace, "local"],
          [`${name} that is listened to`, newPlace, "listening"],
          [`${name} with pg-boss`, newPlace, "pg-boss"],
        ]
      : [[name, newPlace, "local"]],
  );

/** A file name in a new folder, which goes with the test. */
export function newFile(name = "agents.db"): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, name);
}

export function placeAt(url: string): Place {
  return {
    url,
    open(options) {
      const saver = openSaver(url, options);
      onTestFinished(() => saver.end());
      return saver;
    },
  };
}
