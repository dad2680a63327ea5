/** What the command says: data on stdout in the format asked for, everything else on stderr. */

import type { Io, Sink } from "./io.ts";
import { toPlain } from "./plain.ts";
import { tableLines } from "./table.ts";
import type { Column } from "./table.ts";
import { harmlessLines, palette } from "./text.ts";
import type { Palette } from "./text.ts";

/** `table`: `text` made to fit a terminal. */
export type Format = "table" | "text" | "json" | "jsonl";

export class Output {
  readonly format: Format;
  /** Colours of stdout. */
  readonly paint: Palette;
  /** Colours of stderr. */
  readonly notePaint: Palette;
  readonly #io: Io;

  constructor(io: Io, asked: Exclude<Format, "table"> | undefined) {
    this.#io = io;
    this.format = asked ?? (io.stdout.isTTY === true ? "table" : "text");
    this.paint = palette(this.format === "table" && colored(io.stdout, io.env));
    this.notePaint = palette(colored(io.stderr, io.env));
  }

  /** True where a person reads the data, and not a program. */
  get forPeople(): boolean {
    return this.format === "table" || this.format === "text";
  }

  /** Columns to stay within; undefined where nothing may be cut. */
  get width(): number | undefined {
    if (this.format !== "table") return undefined;
    const columns = Number(this.#io.env["COLUMNS"] ?? "");
    return this.#io.stdout.columns ?? (columns > 0 ? columns : 80);
  }

  /** Many of a kind: a table, an array, or one object a line, each as soon as it is known. */
  async list<T>(
    rows: Iterable<T> | AsyncIterable<T>,
    columns: readonly Column<T>[],
    toJson: (row: T) => unknown = (row) => row,
  ): Promise<number> {
    const kept: T[] = [];
    let count = 0;
    for await (const row of rows) {
      count += 1;
      if (this.format === "jsonl") this.json(toJson(row));
      else kept.push(row);
    }
    if (this.format === "json") this.json(kept.map(toJson));
    else if (this.forPeople && kept.length > 0) {
      this.lines(this.table(kept, columns));
    }
    return count;
  }

  /** One thing: an object for programs, lines of text for people. */
  one(value: unknown, text: () => readonly string[]): void {
    if (this.forPeople) this.lines(text());
    else this.json(value);
  }

  /** One JSON document: indented, or on one line where lines separate documents. */
  json(value: unknown): void {
    this.#write(JSON.stringify(toPlain(value), undefined, this.format === "jsonl" ? 0 : 2));
  }

  /** One of many that come over time: a line for people, or a line of JSON. */
  event(value: unknown, text: () => string): void {
    if (this.forPeople) this.#write(text());
    else this.jsonLine(value);
  }

  /** One JSON document on a line, whatever the format is. */
  jsonLine(value: unknown): void {
    this.#write(JSON.stringify(toPlain(value)));
  }

  /** The lines of a table, for who writes them himself. */
  table<T>(rows: readonly T[], columns: readonly Column<T>[]): string[] {
    return tableLines(rows, columns, this.width, this.paint.bold);
  }

  lines(lines: readonly string[]): void {
    if (lines.length > 0) this.#write(lines.join("\n"));
  }

  /** A remark, progress or a hint, for a person. Never data. */
  note(text: string): void {
    this.#io.stderr.write(`${text}\n`);
  }

  /** The one line that an error gets. */
  error(line: string): void {
    this.note(`${this.notePaint.red("error:")} ${harmlessLines(line)}`);
  }

  #write(text: string): void {
    this.#io.stdout.write(`${text}\n`);
  }
}

/** https://no-color.org, and its opposite. */
function colored(sink: Sink, env: Io["env"]): boolean {
  if ((env["NO_COLOR"] ?? "") !== "") return false;
  const forced = env["FORCE_COLOR"] ?? "";
  if (forced !== "") return forced !== "0";
  return sink.isTTY === true && env["TERM"] !== "dumb";
}
