/**
 * Answers in prose, made of the sentences that fit. With sections of quotes in the prompt it is a
 * small report that cites them by id; otherwise the best sentences, in the order of the text.
 */

import type { Block, Prompt } from "./prompt.ts";
import { plain, rankSentences, type Sentence } from "./text.ts";

const SENTENCES = 3;
const QUOTES_PER_SECTION = 4;

export function writeProse(prompt: Prompt): string {
  return prompt.sections.length > 0 ? writeReport(prompt) : writeSummary(prompt);
}

function writeSummary({ documents, query }: Prompt): string {
  const ranked = rankSentences(documents, query);
  const best = new Set(ranked.filter(({ score }) => score > 0).slice(0, SENTENCES));
  if (best.size === 0)
    return ranked[0] ? plain(ranked[0].text) : "There is nothing to answer from.";
  return [...best]
    .toSorted((a, b) => position(documents, a) - position(documents, b))
    .map(({ text }) => plain(text))
    .join(" ");
}

/** Where a sentence stands, over all documents. */
function position(documents: readonly Block[], { from, text }: Sentence): number {
  const before = documents.slice(0, documents.indexOf(from));
  return before.reduce((sum, { text: other }) => sum + other.length, 0) + from.text.indexOf(text);
}

/** A lead on what was asked (or on a reviewer's notes), then each section from its quotes. */
function writeReport({ sections, fields, query }: Prompt): string {
  const { notes } = fields;
  const quotes = sections.flatMap((section) => section.quotes);
  const lead = unsaid(rankSentences(quotes, notes ?? query), new Set())
    .slice(0, 2)
    .map(cite);
  const said = new Set<string>();
  const parts = sections.map(({ heading, about, quotes: own }) => {
    const ranked = rankSentences(own, `${about} ${query}`);
    const fresh = unsaid(ranked, said);
    const best = (fresh.length > 0 ? fresh : ranked).slice(0, QUOTES_PER_SECTION);
    for (const { text } of best) said.add(text);
    const text = best.length > 0 ? best.map(cite).join(" ") : "The documents do not tell.";
    return `## ${heading}\n\n${text}`;
  });
  const opening = notes === undefined ? lead.join(" ") : `On "${notes}": ${lead.join(" ")}`;
  return [opening, ...parts].filter(Boolean).join("\n\n");
}

/** Without what was said before, and each sentence once. */
function unsaid(sentences: readonly Sentence[], said: ReadonlySet<string>): Sentence[] {
  const own = new Set(said);
  return sentences.filter(({ text }) => !own.has(text) && own.add(text));
}

function cite({ text, from }: Sentence): string {
  const id = from.attributes["id"];
  const sentence = plain(text)
    .replace(/^\p{Ll}(?=\p{Ll}* )/u, (letter) => letter.toUpperCase())
    .replace(/(?<![.!?:;][)"'\]]?)$/, ".");
  return id === undefined ? sentence : `${sentence} [${id}]`;
}
