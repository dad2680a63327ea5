/** Rows as aligned columns, cut to the width of the terminal where there is one. */

import { fit, harmless, widthOf } from "./text.ts";
import type { Paint } from "./text.ts";

export interface Column<T> {
  title: string;
  value(row: T): string;
  align?: "right";
  /** May be cut when the terminal is too narrow for everything. */
  flexible?: boolean;
  paint?: Paint;
}

const GAP = "  ";
const NARROWEST = 8;

/** The lines of a table, heading first; without a width nothing is cut. */
export function tableLines<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  width: number | undefined,
  heading: Paint,
): string[] {
  const cells = rows.map((row) => columns.map((column) => harmless(column.value(row))));
  const widths = columns.map((column, at) =>
    Math.max(widthOf(column.title), ...cells.map((line) => widthOf(line[at] ?? ""))),
  );
  if (width !== undefined) shrink(widths, columns, width);
  const line = (texts: readonly string[], paintOf: (column: Column<T>) => Paint | undefined) =>
    columns
      .map((column, at) => {
        const text = fit(texts[at] ?? "", widths[at] ?? 0);
        const padding = " ".repeat(Math.max(0, (widths[at] ?? 0) - widthOf(text)));
        const painted = paintOf(column)?.(text) ?? text;
        return column.align === "right" ? padding + painted : painted + padding;
      })
      .join(GAP)
      .trimEnd();
  return [
    line(
      columns.map((column) => column.title),
      () => heading,
    ),
    ...cells.map((texts) => line(texts, (column) => column.paint)),
  ];
}

/** Takes from the widest flexible column until the row fits, or nothing can be taken. */
function shrink<T>(widths: number[], columns: readonly Column<T>[], width: number): void {
  const total = (): number =>
    widths.reduce((sum, each) => sum + each, 0) + GAP.length * (widths.length - 1);
  while (total() > width) {
    let widest = -1;
    for (const [at, column] of columns.entries()) {
      if (column.flexible !== true || (widths[at] ?? 0) <= NARROWEST) continue;
      if (widest < 0 || (widths[at] ?? 0) > (widths[widest] ?? 0)) widest = at;
    }
    if (widest < 0) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}
