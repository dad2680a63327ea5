/**
 * Reading a request: what is asked, and which texts there are to answer it from.
 *
 * The convention, which any prompt may follow (`graphs/research/prompts.ts` does):
 *
 * - texts stand in blocks, `<document name="notes.md">...</document>`, with any attributes;
 * - passages already chosen stand in `<quote id="3">...</quote>`, alone or within
 *   `<section heading="Costs">...</section>`;
 * - lines `Topic: ...`, `Question: ...` and `Notes: ...` outside the blocks say what is wanted.
 *
 * A prompt without any of this works too: then all the user's words are the question, and what tools
 * returned, or else the words themselves, are the text.
 */

import { textOf, type ChatRequest } from "../wire.ts";

export interface Block {
  attributes: Record<string, string>;
  text: string;
}

export interface Section {
  heading: string;
  /** All its attributes, which say what it is about. */
  about: string;
  quotes: Block[];
}

export interface Prompt {
  documents: Block[];
  sections: Section[];
  /** The lines `Name: value`, by the name in lower case. */
  fields: Record<string, string>;
  /** The words that rank the texts. */
  query: string;
}

export function readPrompt(request: ChatRequest): Prompt {
  const lastUser = request.messages.findLastIndex(({ role }) => role === "user");
  const asked = lastUser < 0 ? "" : textOf(request.messages[lastUser]!);
  const around = withoutBlocks(asked);
  const fields = readFields(around);
  const query = [fields["question"], fields["notes"], fields["topic"]].filter(Boolean).join(" ");

  const documents = blocks(asked, "document");
  for (const message of request.messages.slice(lastUser + 1))
    if (message.role === "tool") documents.push({ attributes: {}, text: textOf(message) });
  const sections = blocks(asked, "section").map(({ attributes, text }) => ({
    heading: attributes["heading"] ?? "",
    about: Object.values(attributes).join(" "),
    quotes: blocks(text, "quote"),
  }));
  const quoted = sections.length > 0 || documents.length > 0;
  return {
    documents: quoted ? documents : [{ attributes: {}, text: around }],
    sections,
    fields,
    query: query || around,
  };
}

function blocks(text: string, tag: string): Block[] {
  const pattern = new RegExp(
    `<${tag}((?:\\s+\\w+="[^"]*")*)\\s*>\\n?([\\s\\S]*?)\\n?</${tag}>`,
    "g",
  );
  return Array.from(text.matchAll(pattern), ([, attributes, body]) => ({
    attributes: Object.fromEntries(
      Array.from(attributes!.matchAll(/(\w+)="([^"]*)"/g), ([, name, value]) => [name!, value!]),
    ),
    text: body!,
  }));
}

function withoutBlocks(text: string): string {
  return text.replace(/<(document|section|quote)[\s>][\s\S]*?<\/\1>/g, "").trim();
}

function readFields(text: string): Record<string, string> {
  return Object.fromEntries(
    Array.from(text.matchAll(/^([A-Z]\w*): *(.+)$/gm), ([, name, value]) => [
      name!.toLowerCase(),
      value!.trim(),
    ]),
  );
}
