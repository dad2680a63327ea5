/**
 * What the model is asked, as plain strings that depend on nothing but their arguments. Texts stand
 * in blocks and requests on lines of their own, the convention of `holdfast/testing`.
 */

import type { QuotedSection } from "./report.ts";
import type { ExtractPacket, Source } from "./state.ts";

/** A system and a user message. */
export type Prompt = [["system", string], ["human", string]];

export function planPrompt(topic: string, sources: readonly Source[], sections: number): Prompt {
  return [
    [
      "system",
      `You plan a short research report. Below are overviews of the documents at hand. Choose the ` +
        `${sections} aspects of the topic that these documents say most about. For each give a ` +
        "heading of at most six words and one question that a search in the documents can answer.",
    ],
    [
      "human",
      `Topic: ${oneLine(topic)}\n\n` +
        sources.map(({ file, overview }) => block("document", { name: file }, overview)).join("\n"),
    ],
  ];
}

export function extractPrompt({ question, file, passages }: ExtractPacket, quotes: number): Prompt {
  return [
    [
      "system",
      `You read passages of one document and pick at most ${quotes} quotes that help to answer the ` +
        "question. A quote is one or two sentences copied character by character; it is checked " +
        "against the file and dropped if a single word differs. Pick none if nothing fits.",
    ],
    [
      "human",
      `Question: ${oneLine(question)}\n\n` +
        passages
          .map(({ line, text }) => block("document", { name: file, line: String(line) }, text))
          .join("\n"),
    ],
  ];
}

const WRITING =
  "You write a short report in Markdown from the quotes below, and from nothing else. Open with two " +
  "or three sentences that sum it up, then write one part for each section, with its heading after " +
  "`## `. Cite each statement's quotes by id, as in [3]. Where a section has no quotes, say that the " +
  "documents do not tell. No title and no list of sources: both are added.";

export function draftPrompt(topic: string, sections: readonly QuotedSection[]): Prompt {
  return [
    ["system", WRITING],
    ["human", `Topic: ${oneLine(topic)}\n\n${sectionBlocks(sections)}`],
  ];
}

export function revisePrompt(
  topic: string,
  sections: readonly QuotedSection[],
  { body, notes }: { body: string; notes: string },
): Prompt {
  return [
    ["system", `${WRITING} There is a draft already: change what the reviewer's notes ask for.`],
    [
      "human",
      `Topic: ${oneLine(topic)}\nNotes: ${oneLine(notes)}\n\n` +
        `${block("document", { name: "draft" }, body)}\n${sectionBlocks(sections)}`,
    ],
  ];
}

function sectionBlocks(sections: readonly QuotedSection[]): string {
  return sections
    .map(({ heading, question, quotes }) => {
      const body = quotes.map(({ id, file, line, quote }) =>
        block("quote", { id: String(id), from: `${file}:${line}` }, quote),
      );
      return block("section", { heading, question }, body.join("\n"));
    })
    .join("\n");
}

function block(tag: string, attributes: Record<string, string>, text: string): string {
  const written = Object.entries(attributes).map(
    ([name, value]) => ` ${name}="${oneLine(value).replaceAll('"', "'")}"`,
  );
  // A text that speaks of these blocks itself must not end its own.
  const safe = text.replace(/<(?=\/?(?:document|section|quote)\b)/g, "< ");
  return `<${tag}${written.join("")}>\n${tag === "section" ? text : safe}\n</${tag}>`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
