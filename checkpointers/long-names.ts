/**
 * Names too long for a key column (src/ids.ts) are kept whole in the row's data, around its content.
 * No content looks like the wrapper: its tag is none of the tree's.
 */

import { CorruptDataError } from "../src/errors.ts";
import { idOf, isLongId } from "../src/ids.ts";
import { getOwn, tagged, type Node } from "./encoding/tree.ts";

const WRAPPER = "w";

export interface Names {
  channel?: string | undefined;
  task?: string | undefined;
}

/** The text of the row's data: the content itself where the names fit their columns. */
export function wrapNames(content: string, names: Names): string {
  if (!isLong(names.channel) && !isLong(names.task)) return content;
  const long = Object.entries(names).filter(([, name]) => isLongId(name as string));
  return `{"$":"${WRAPPER}","n":${JSON.stringify(Object.fromEntries(long))},"v":${content}}`;
}

/** Whether the text of a row's data has names around its content. */
export function isWrapped(text: string): boolean {
  return text.startsWith(`{"$":"${WRAPPER}"`);
}

function isLong(name: string | undefined): boolean {
  return name !== undefined && isLongId(name);
}

export function unwrapNames(data: Node): Names & { content: Node } {
  const wrapper = tagged(data, WRAPPER);
  if (wrapper === undefined) return { content: data };
  return { ...(wrapper["n"] as unknown as Names), content: getOwn(wrapper, "v") ?? null };
}

/** The id of a key column; `long` is what the row keeps where the key does not tell it. */
export function wholeId(key: Uint8Array, long: string | undefined): string {
  const id = long ?? idOf(key);
  if (id === undefined) throw new CorruptDataError("A row's long id is missing.");
  return id;
}
