import type { Change, Path } from "./compare.ts";
import { preview } from "./preview.ts";

export interface FormatDiffOptions {
  /** Characters that one value may take; default 80. */
  width?: number;
}

/**
 * Changes for people, one a line: `+ messages[2]: ai: "Done."`, `- draft: ...`,
 * `~ title: "old" → "new"`. Empty for no changes.
 */
export function formatDiff(changes: readonly Change[], options: FormatDiffOptions = {}): string {
  const width = options.width ?? 80;
  return changes.map((change) => formatChange(change, width)).join("\n");
}

function formatChange(change: Change, width: number): string {
  const at = formatPath(change.path);
  switch (change.kind) {
    case "added":
      return `+ ${at}: ${preview(change.after, width)}`;
    case "removed":
      return `- ${at}: ${preview(change.before, width)}`;
    case "changed":
      return `~ ${at}: ${preview(change.before, width)} → ${preview(change.after, width)}`;
  }
}

/** As JavaScript would write it: `messages[2].content`, `files["a b.md"]`. */
export function formatPath(path: Path): string {
  if (path.length === 0) return "(value)";
  return path
    .map((step, index) => {
      if (typeof step === "number") return `[${step}]`;
      if (!/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(step)) return `[${JSON.stringify(step)}]`;
      return index === 0 ? step : `.${step}`;
    })
    .join("");
}
