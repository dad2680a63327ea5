/**
 * Texts for columns that people read with SQL: as they are, wherever a database can keep them so.
 *
 * Postgres refuses NUL in a text, and both databases lose lone surrogates. A text with one of these is
 * kept as a JSON string (which escapes them); so is one that looks like a JSON string already, so that
 * every text reads back exactly.
 */

import type { Cells } from "../encoding/cells.ts";
import { parseCell, type Cell } from "../encoding/cells.ts";
import { idOf } from "../../src/ids.ts";

export function toText(text: string): string {
  const isPlain = text.isWellFormed() && !text.includes("\0") && !looksQuoted(text);
  return isPlain ? text : JSON.stringify(text);
}

export function fromText(stored: string): string {
  return looksQuoted(stored) ? (JSON.parse(stored) as string) : stored;
}

function looksQuoted(text: string): boolean {
  return text.length > 1 && text.startsWith('"') && text.endsWith('"');
}

/** What of a long id is in its key. */
const SHOWN = 180;

/** A thread's id as far as anybody may read it: a long one's is sealed where a custom serde is used. */
export function beginningOf(id: string): string {
  return toText(`${id.slice(0, SHOWN).toWellFormed()}...`);
}

/** The id of a thread by its key; `name` is its row's, where the key does not tell it. */
export async function threadIdOf(
  cells: Cells,
  key: Uint8Array,
  name: Cell | null,
): Promise<string> {
  const id = idOf(key);
  if (id !== undefined) return id;
  if (name !== null) return parseCell(await cells.open(name), "thread id") as string;
  // Its row is not there (yet): better than nothing.
  return `${Buffer.from(key).toString("utf8").slice(0, SHOWN)}...`;
}
