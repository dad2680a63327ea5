/** Engines by name, so that a test and the processes that it starts can use the same. */

import { localEngine, type Engine } from "../../src/index.ts";
import { pgBossEngine } from "../../src/engine/pg-boss.ts";

export type EngineName = "local" | "listening" | "pg-boss";

export function newEngine(name: EngineName): Engine {
  switch (name) {
    case "local":
      return localEngine();
    case "listening":
      return localEngine({ listen: true });
    case "pg-boss":
      return pgBossEngine();
  }
}
