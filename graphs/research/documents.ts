/** The folder: its text files, and their passages with the lines where they stand. */

import { readFile, readdir } from "node:fs/promises";
import { join, sep } from "node:path";

/** A few paragraphs under one heading. */
export interface Passage {
  file: string;
  heading: string;
  text: string;
  /** First and last line in the file, counted from 1. */
  line: number;
  endLine: number;
}

/** Long enough to stand alone, short enough to read many. */
const PASSAGE_LENGTH = 900;

/** All `.md` and `.txt` files below the folder, by name; hidden folders and `node_modules` apart. */
export async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /\.(?:md|markdown|txt)$/i.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, sep).length))
    .map((file) => file.split(sep).join("/"))
    .filter((file) => !/(?:^|\/)(?:\.|node_modules\/)/.test(file))
    .toSorted();
}

export async function readText(folder: string, file: string): Promise<string> {
  return readFile(join(folder, file), "utf8");
}

/** The lines from `line` to `endLine`, as they stand. */
export function linesOf(
  text: string,
  { line, endLine }: { line: number; endLine: number },
): string {
  return text
    .split("\n")
    .slice(line - 1, endLine)
    .join("\n");
}

/** Cuts a text at its headings, and long parts between paragraphs. */
export function passagesOf(file: string, text: string): Passage[] {
  const passages: Passage[] = [];
  let heading = file;
  let lines: string[] = [];
  let start = 1;
  let inCode = false;
  const cut = (next: number) => {
    const body = lines.join("\n").trimEnd();
    const endLine = start + body.split("\n").length - 1;
    if (body.trim() !== "") passages.push({ file, heading, text: body, line: start, endLine });
    lines = [];
    start = next;
  };
  for (const [index, line] of text.split("\n").entries()) {
    if (/^\s*(?:```|~~~)/.test(line)) inCode = !inCode;
    const title = inCode ? undefined : /^#{1,6}\s+(.+?)\s*#*$/.exec(line)?.[1];
    if (title !== undefined) {
      cut(index + 1);
      heading = title;
    } else if (line.trim() === "" && !inCode && lines.join("\n").length > PASSAGE_LENGTH) {
      cut(index + 1);
    }
    lines.push(line);
  }
  cut(0);
  return passages;
}

/** What a planner sees of a file: each heading, with the first words of each passage below it. */
export function overviewOf(file: string, text: string): string {
  let last: string | undefined;
  return passagesOf(file, text)
    .map(({ heading, text: body }) => {
      const title = heading === last || heading === file ? "" : `## ${heading}\n`;
      last = heading;
      return (
        title +
        body
          .replace(/^#.*\n?/, "")
          .replace(/\s+/g, " ")
          .trim()
          .slice(0, 240)
      );
    })
    .join("\n");
}
