/** A saver from one string, so that a test and the processes it starts can open the same database. */

import { PostgresSaver, type PostgresSaverOptions } from "../../checkpointers/postgres/index.ts";
import { SqliteSaver, type SqliteSaverOptions } from "../../checkpointers/sqlite/index.ts";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";

/** @param place `sqlite:FILE`, or the URL of a Postgres database */
export function openSaver(
  place: string,
  options: SqliteSaverOptions & PostgresSaverOptions = {},
): HoldfastSaver {
  return place.startsWith("sqlite:")
    ? SqliteSaver.fromConnString(place.slice("sqlite:".length), options)
    : PostgresSaver.fromConnString(place, options);
}
