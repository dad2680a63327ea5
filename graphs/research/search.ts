/** Full-text search over the folder's passages: BM25 with prefixes, headings counting double. */

import MiniSearch from "minisearch";
import { listFiles, passagesOf, readText, type Passage } from "./documents.ts";
import type { Hit, Section } from "./state.ts";

/** Words of questions that say nothing about what is asked. */
const NOISE = new Set(
  (
    "a about an and are as at be been but by can did do document documents does for from had has " +
    "have how if in into is it its matter matters more most of on or say says so that the their " +
    "them then there these they this to was were what when where which who why will with would"
  ).split(" "),
);

/** The folder's passages that fit a section best. */
export async function searchFolder(
  folder: string,
  { heading, question }: Section,
  limit: number,
): Promise<Hit[]> {
  const index = new MiniSearch<Passage & { id: number }>({
    fields: ["heading", "text"],
    processTerm: (term) => (NOISE.has(term.toLowerCase()) ? null : term.toLowerCase()),
  });
  const passages: Passage[] = [];
  for (const file of await listFiles(folder))
    passages.push(...passagesOf(file, await readText(folder, file)));
  index.addAll(passages.map((passage, id) => ({ id, ...passage })));

  const found = index.search(`${heading} ${question}`, {
    boost: { heading: 2 },
    prefix: (term) => term.length > 3,
  });
  return found.slice(0, limit).flatMap(({ id, score }) => {
    const passage = passages[Number(id)];
    if (!passage) return [];
    const { file, line, endLine } = passage;
    return [{ question, file, line, endLine, score: Math.round(score * 1000) / 1000 }];
  });
}
