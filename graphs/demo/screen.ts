/** What the demo shows: plain text, as it happens, on a terminal or in a file. */

import process from "node:process";

const WIDTH = Math.min(process.stdout.columns ?? 110, 110);
const MARGIN = "   ";

export function say(text = ""): void {
  process.stdout.write(`${text}\n`);
}

/** A numbered chapter of the story. */
export function chapter(number: number, title: string): void {
  say(`\n${number}. ${title}`);
  say("─".repeat(WIDTH));
}

export function note(text = ""): void {
  for (const line of text.split("\n")) say(wrap(line, WIDTH - MARGIN.length, MARGIN).trimEnd());
}

/** Rows of cells, each column as wide as its widest cell. */
export function table(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]?.map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  for (const row of rows) {
    const cells = row.map((cell, column) => cell.padEnd(widths?.[column] ?? 0));
    say((MARGIN + cells.join("  ")).slice(0, WIDTH).trimEnd());
  }
}

/** Two texts in two columns. */
export function sideBySide(left: string, right: string): void {
  const width = Math.floor((WIDTH - MARGIN.length - 3) / 2);
  const [a, b] = [left, right].map((text) =>
    text.split("\n").flatMap((line) => wrap(line, width).split("\n")),
  );
  for (let row = 0; row < Math.max(a!.length, b!.length); row += 1)
    say(`${MARGIN}${(a![row] ?? "").padEnd(width)} │ ${b![row] ?? ""}`.trimEnd());
}

/** Progress: a line for each node, a mark for each of its tasks, as they finish. */
export class Progress {
  #node: string | undefined;
  /** Marks what an earlier process had stored, once its node comes up again. */
  readonly #kept: Map<string, number>;

  constructor(kept: Iterable<string> = []) {
    this.#kept = new Map();
    for (const node of kept) this.#kept.set(node, (this.#kept.get(node) ?? 0) + 1);
  }

  began(node: string): void {
    if (node === this.#node) return;
    this.end();
    this.#node = node;
    process.stdout.write(`${MARGIN}${node.padEnd(10)} ${"○".repeat(this.#kept.get(node) ?? 0)}`);
  }

  returned(): void {
    process.stdout.write("●");
  }

  end(remark = ""): void {
    if (this.#node !== undefined) say(remark);
    this.#node = undefined;
  }
}

function wrap(line: string, width: number, indent = ""): string {
  const hang = /^\s*(?:[·>-]\s+)?/.exec(line)![0];
  const rows: string[] = [];
  let row = "";
  for (const word of line.slice(hang.length).split(" ")) {
    if (row !== "" && hang.length + row.length + 1 + word.length > width) {
      rows.push(row);
      row = "";
    }
    row += row === "" ? word : ` ${word}`;
  }
  rows.push(row);
  return rows
    .map((text, index) => indent + (index === 0 ? hang : " ".repeat(hang.length)) + text)
    .join("\n");
}
