/** A state for people: one channel after the other, messages as a conversation. */

import { isMessage, toPlain } from "./plain.ts";
import { harmless, harmlessLines } from "./text.ts";
import type { Palette } from "./text.ts";

/** The lines that show a state. */
export function valueLines(values: unknown, paint: Palette): string[] {
  if (typeof values !== "object" || values === null || Array.isArray(values)) {
    return indented(textOf(values), "");
  }
  return Object.entries(values as Record<string, unknown>).flatMap(([channel, value]) =>
    channelLines(channel, value, paint),
  );
}

function channelLines(channel: string, value: unknown, paint: Palette): string[] {
  const title = paint.bold(harmless(channel));
  if (Array.isArray(value) && value.length > 0 && value.every(isMessage)) {
    return [title, ...value.flatMap((message) => messageLines(message, paint))];
  }
  const text = textOf(value);
  return text.includes("\n") ? [title, ...indented(text, "  ")] : [`${title}  ${harmless(text)}`];
}

function messageLines(message: unknown, paint: Palette): string[] {
  const {
    type,
    content,
    tool_calls: calls,
  } = toPlain(message) as {
    type: string;
    content: unknown;
    tool_calls?: { name?: unknown; args?: unknown }[];
  };
  const said = contentText(content);
  const called = (calls ?? []).map(
    (call) => `→ ${String(call.name)}(${JSON.stringify(call.args) ?? ""})`,
  );
  const [first = "", ...rest] = [...(said === "" ? [] : said.split("\n")), ...called];
  return [
    `  ${paint.dim(`${harmless(type)}:`)} ${harmless(first)}`,
    ...rest.map((line) => `    ${harmless(line)}`),
  ];
}

/** A message's text; blocks of other kinds by their type. */
function contentText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return textOf(content);
  return content
    .map((block: unknown) => {
      const { type, text } = block as { type?: unknown; text?: unknown };
      return typeof text === "string" ? text : `[${String(type)}]`;
    })
    .join("\n");
}

/** A value in one piece: text as it is, everything else as JSON. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  const plain = toPlain(value);
  const short = JSON.stringify(plain) ?? "undefined";
  return short.length <= 72 ? short : JSON.stringify(plain, undefined, 2);
}

function indented(text: string, indent: string): string[] {
  return harmlessLines(text)
    .split("\n")
    .map((line) => indent + line);
}
