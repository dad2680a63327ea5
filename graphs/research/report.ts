/** From evidence and a draft to the report: who may be cited by which number, and the final text. */

import type { Evidence, Section, State } from "./state.ts";

export interface CitableQuote {
  /** Counts from 1. */
  id: number;
  file: string;
  line: number;
  quote: string;
}

/** A section with the quotes that answer its question. */
export interface QuotedSection extends Section {
  quotes: readonly CitableQuote[];
}

/**
 * The evidence for the questions of the outline, each quote once, in the outline's order. What was
 * found for another outline (before a fork, say) is left out.
 */
export function citable({
  outline,
  evidence,
}: Pick<State, "outline" | "evidence">): CitableQuote[] {
  const unique = new Map<string, Evidence>();
  for (const { question } of outline)
    for (const found of evidence)
      if (found.question === question && !unique.has(keyOf(found))) unique.set(keyOf(found), found);
  return [...unique.values()].map(({ file, line, quote }, index) => ({
    id: index + 1,
    file,
    line,
    quote,
  }));
}

/** The outline, each section with its quotes. */
export function quotedSections(state: Pick<State, "outline" | "evidence">): QuotedSection[] {
  const ids = new Map(citable(state).map((quote) => [keyOf(quote), quote]));
  return state.outline.map((section) => {
    const own = state.evidence.filter(({ question }) => question === section.question);
    const quotes = new Set(own.map((found) => ids.get(keyOf(found))!));
    return { ...section, quotes: [...quotes] };
  });
}

/**
 * The report as it is published: title, body, and the sources that the body cites, numbered by first
 * mention, each quoted in full with its file and line. Numbers that cite nothing are dropped.
 */
export function renderReport(
  state: Pick<State, "topic" | "body" | "outline" | "evidence">,
): string {
  const quotes = new Map(citable(state).map((quote) => [quote.id, quote]));
  const cited: CitableQuote[] = [];
  const text = state.body.replace(/ ?\[(\d+(?:, *\d+)*)\](?!\()/g, (_, list: string) => {
    const numbers = list.split(",").flatMap((id) => {
      const quote = quotes.get(Number(id));
      if (!quote) return [];
      if (!cited.includes(quote)) cited.push(quote);
      return [cited.indexOf(quote) + 1];
    });
    return numbers.length > 0 ? ` [${numbers.join(", ")}]` : "";
  });
  const sources = cited.map(({ file, line, quote }, index) => {
    const quoted = quote.split("\n").map((each) => `   > ${each}`);
    return `${index + 1}. \`${file}\`, line ${line}\n\n${quoted.join("\n")}`;
  });
  return [`# ${state.topic}`, text.trim(), "## Sources", ...sources].join("\n\n") + "\n";
}

function keyOf({ file, line, quote }: Pick<Evidence, "file" | "line" | "quote">): string {
  return `${file}:${line}:${quote}`;
}
