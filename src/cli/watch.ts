/** `--watch`: the same again every second on a terminal; elsewhere a line of JSON for each change. */

import type { Clock } from "../clock.ts";
import type { Cli } from "./cli.ts";
import { instant } from "./format.ts";
import type { Sink } from "./io.ts";
import { toPlain } from "./plain.ts";

/** In milliseconds. */
const INTERVAL = 1_000;

export interface Watched<Row> {
  /** Latest first. */
  read: () => Promise<readonly Row[]>;
  idOf: (row: Row) => string;
  lines: (rows: readonly Row[]) => readonly string[];
}

/** Shows until Ctrl-C. */
export async function watch<Row>(
  { io, out }: Cli,
  clock: Clock,
  { read, idOf, lines }: Watched<Row>,
): Promise<void> {
  const screen = out.format === "table" ? new Screen(io.stdout) : undefined;
  let known = new Map<string, string>();
  let last: readonly string[] = [];
  try {
    while (!io.signal.aborted) {
      const rows = await read();
      if (screen === undefined) {
        const now = new Map(rows.map((row) => [idOf(row), JSON.stringify(toPlain(row))]));
        for (const row of rows.toReversed()) {
          if (known.get(idOf(row)) !== now.get(idOf(row))) out.jsonLine(row);
        }
        known = now;
      } else {
        last = lines(rows);
        const heading = `${instant(io.now())}  every second; Ctrl-C ends`;
        screen.paint([out.paint.dim(heading), "", ...last]);
      }
      await clock.sleep(INTERVAL, io.signal).catch(() => undefined);
    }
  } finally {
    screen?.leave();
    out.lines(last);
  }
}

/** The terminal's other screen, so that what was on the first is there again afterwards. */
class Screen {
  readonly #sink: Sink;

  constructor(sink: Sink) {
    this.#sink = sink;
    sink.write("\u001b[?1049h\u001b[?25l");
  }

  /** Over what is there, line by line, so that nothing flickers. */
  paint(lines: readonly string[]): void {
    const fitting = lines.slice(0, this.#sink.rows === undefined ? undefined : this.#sink.rows - 1);
    this.#sink.write(`\u001b[H${fitting.map((line) => `${line}\u001b[K\n`).join("")}\u001b[J`);
  }

  leave(): void {
    this.#sink.write("\u001b[?25h\u001b[?1049l");
  }
}
