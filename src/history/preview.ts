/** A value in one line, for people: what it says, cut to a width. */

import { inspect } from "node:util";
import { isMessage, messageType, structureOf } from "./structure.ts";

/** At most `width` characters; what is cut shows as an ellipsis. */
export function preview(value: unknown, width: number): string {
  const line = oneLine(value, width).replaceAll(/\s+/g, " ");
  if (line.length <= width) return line;
  // Not through the middle of a character.
  const end = /[\uD800-\uDBFF]/.test(line.charAt(width - 2)) ? width - 2 : width - 1;
  return `${line.slice(0, end)}…`;
}

function oneLine(value: unknown, width: number): string {
  if (isMessage(value)) {
    const { content } = value as { content?: unknown };
    return `${messageType(value)}: ${oneLine(content, width)}${toolCalls(value)}`;
  }
  // A long value need not be printed to its end to be cut.
  if (typeof value === "string") return JSON.stringify(value.slice(0, width + 1));
  const structure = structureOf(value);
  if (structure.kind === "list" && structure.items.length > 0) {
    const items = structure.items.slice(0, width).map((item) => oneLine(item, width));
    return `[${items.join(", ")}]`;
  }
  if (structure.kind === "record" && structure.type === Object.prototype) {
    const fields = [...structure.entries].slice(0, width);
    return `{ ${fields.map(([key, field]) => `${key}: ${oneLine(field, width)}`).join(", ")} }`;
  }
  return inspect(value, { depth: 3, breakLength: Infinity, maxArrayLength: 20 });
}

function toolCalls(message: object): string {
  const { tool_calls: calls } = message as { tool_calls?: unknown };
  if (!Array.isArray(calls) || calls.length === 0) return "";
  const names = calls.map((call: unknown) =>
    String(typeof call === "object" && call !== null && "name" in call ? call.name : "?"),
  );
  return ` (calls ${names.join(", ")})`;
}
