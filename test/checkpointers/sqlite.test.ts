/** `SqliteSaver` against LangGraph's validation suite and our own. */

import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import { officialSuite } from "../conformance/official.ts";
import { saverConformance } from "../conformance/saver.ts";
import type { Place } from "../conformance/saver/place.ts";

async function newPlace(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-sqlite-"));
  const path = join(folder, "agents.db");
  return {
    create: async (options) => SqliteSaver.fromConnString(path, options),
    reopen: async (saver, options) => {
      await saver.end();
      return SqliteSaver.fromConnString(path, options);
    },
    rawBytes: async () => {
      const files = await readdir(folder);
      return Buffer.concat(await Promise.all(files.map((file) => readFile(join(folder, file)))));
    },
    destroy: () => rm(folder, { recursive: true, force: true }),
  };
}

await officialSuite({
  checkpointerName: "SqliteSaver",
  createCheckpointer: () => SqliteSaver.fromConnString(":memory:"),
  destroyCheckpointer: (saver) => (saver as SqliteSaver).end(),
});

saverConformance("SqliteSaver", newPlace);
