/**
 * Extractive reading: cut texts into sentences and headings, and rank them by the words of a query.
 *
 * A sentence is always a verbatim slice of its text, line breaks included, so that it can be quoted
 * and found again. Ranking is plain tf-idf over the sentences at hand; ties keep the texts' order.
 */

import type { Block } from "./prompt.ts";

export interface Sentence {
  text: string;
  /** The document it comes from. */
  from: Block;
  score: number;
}

export interface Heading {
  text: string;
  score: number;
}

const STOP_WORDS = new Set(
  (
    "a about after all also an and any are as at be been but by can could did do does each for from " +
    "had has have how if in into is it its may more most must no not of on one only or other our " +
    "out over say says should so some such than that the their them then there these they this " +
    "those to under up use used very was we were what when where which while who why will with " +
    "would you your document documents regard tell"
  ).split(" "),
);

/** The words that carry meaning, cut down to a common stem ("retries", "retry" and "retried"). */
export function terms(text: string): string[] {
  return (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
    .filter((word) => word.length > 1 && !STOP_WORDS.has(word))
    .map((word) =>
      word
        .replace(/(?:ies|ied)$/, "y")
        .replace(/(?<=\w{3})(?:ing|ed|es|s|e|y)$/, "")
        .replace(/(\w)\1$/, "$1"),
    );
}

/** All sentences of the documents, best first; of equal score in the order of the text. */
export function rankSentences(documents: readonly Block[], query: string): Sentence[] {
  const all = documents.flatMap((from) =>
    sentencesOf(from.text).map((text) => ({ text, from, words: terms(text) })),
  );
  const weight = weigher(
    all.map(({ words }) => words),
    query,
  );
  return all
    .map(({ text, from, words }) => ({ text, from, score: weight(words) }))
    .toSorted((a, b) => b.score - a.score);
}

/** All headings of the documents, best first; what stands under a heading counts a little. */
export function rankHeadings(documents: readonly Block[], query: string): Heading[] {
  const all = documents.flatMap(({ text }) => headingsOf(text));
  const weight = weigher(
    all.map(({ heading, below }) => terms(`${heading} ${below}`)),
    query,
  );
  const seen = new Set<string>();
  return all
    .map(({ heading, below }) => ({
      text: heading,
      score: 2 * weight(terms(heading)) + weight(terms(below)),
    }))
    .toSorted((a, b) => b.score - a.score)
    .filter(({ text }) => !seen.has(text) && seen.add(text));
}

/** Scores words against a query: rare words weigh more, long texts are held back a little. */
function weigher(texts: readonly string[][], query: string): (words: string[]) => number {
  const wanted = new Set(terms(query));
  const holders = new Map<string, number>();
  for (const words of texts)
    for (const word of new Set(words))
      if (wanted.has(word)) holders.set(word, (holders.get(word) ?? 0) + 1);
  return (words) => {
    let score = 0;
    for (const word of new Set(words))
      if (wanted.has(word)) score += Math.log(1 + texts.length / (holders.get(word) ?? 1));
    return score / Math.sqrt(8 + words.length);
  };
}

/** Verbatim slices: sentences of prose and of list items, cells of tables; no headings, no code. */
export function sentencesOf(text: string): string[] {
  const slices: string[] = [];
  let paragraph: string[] = [];
  let inCode = false;
  const endParagraph = () => {
    if (paragraph.length > 0) slices.push(...paragraph.join("\n").split(SENTENCE_END));
    paragraph = [];
  };
  for (const line of text.split("\n")) {
    const isFence = /^\s*(```|~~~)/.test(line);
    if (isFence || inCode || /^\s*$|^#{1,6}\s|^\s*\||^\s*(?:[-*_]\s*){3,}$/.test(line)) {
      endParagraph();
      if (isFence) inCode = !inCode;
      else if (!inCode && line.trimStart().startsWith("|")) slices.push(...cellsOf(line));
      continue;
    }
    if (/^\s*(?:[-*+>]|\d+[.)])\s/.test(line)) endParagraph();
    paragraph.push(line.replace(/^\s*(?:[-*+>]|\d+[.)])\s+/, ""));
  }
  endParagraph();
  return slices.map((slice) => slice.trim()).filter((slice) => terms(slice).length >= 3);
}

/** Only cells that say something: names and figures alone are not worth quoting. */
function cellsOf(row: string): string[] {
  return row.split(/(?<!\\)\|/).filter((cell) => terms(cell).length >= 6);
}

/** After a full stop and before a capital, a number, or Markdown that opens a sentence. */
const SENTENCE_END = /(?<=[.!?]["')\]*`]*)\s+(?=["'(*`[]*[\p{Lu}\p{N}])/u;

function headingsOf(text: string): { heading: string; below: string }[] {
  const found: { heading: string; below: string }[] = [];
  let inCode = false;
  for (const line of text.split("\n")) {
    if (/^\s*(```|~~~)/.test(line)) inCode = !inCode;
    const heading = inCode ? undefined : /^#{1,6}\s+(.+?)\s*#*$/.exec(line)?.[1];
    if (heading !== undefined)
      found.push({ heading: plain(heading).replace(/^\d+[.)]\s+/, ""), below: "" });
    else if (found.length > 0) found.at(-1)!.below += `${line}\n`;
  }
  return found;
}

/** One line without Markdown's marks, for reading rather than quoting. */
export function plain(text: string): string {
  return text
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[*`]+|(?<![\p{L}\p{N}])_+|_+(?![\p{L}\p{N}])/gu, "")
    .replace(/\s+/g, " ")
    .trim();
}
