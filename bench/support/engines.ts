/** Engines of a runtime by name, for processes that share a place. */

import { localEngine, type Engine } from "holdfast";
import { pgBossEngine } from "holdfast/pg-boss";
import type { PostgresPlace } from "./place.ts";

export type EngineName = "local" | "listening" | "pg-boss";

export function newEngine(name: EngineName, place: PostgresPlace): Engine {
  if (name === "pg-boss") return pgBossEngine({ schema: `${place.schema}_jobs` });
  return localEngine({ listen: name === "listening" });
}
