/** Time travel over any LangGraph saver, and bringing threads over from one to another. */

export { history } from "./history.ts";
export type { HistoryOptions } from "./history.ts";
export type { HistoryPoint } from "./point.ts";
export type { PendingInterrupt } from "./interrupts.ts";
export { diff } from "./diff.ts";
export type { DiffOptions } from "./diff.ts";
export type { Change, Path } from "./compare.ts";
export { formatDiff, formatPath } from "./format-diff.ts";
export type { FormatDiffOptions } from "./format-diff.ts";
export { preview } from "./preview.ts";
export { fork } from "./fork.ts";
export type { Fork, ForkOptions } from "./fork.ts";
export { rewind } from "./rewind.ts";
export type { RewindOptions } from "./rewind.ts";
export { findCheckpoint } from "./find.ts";
export type { FindCheckpointOptions } from "./find.ts";
export { importThreads } from "./import.ts";
export type { ImportOptions, ImportProgress, ImportResult } from "./import.ts";
export { importedVersion } from "./versions.ts";
export type { Address } from "./address.ts";
export type { AnySaver, HistorySource, TimeTravelGraph } from "./source.ts";
