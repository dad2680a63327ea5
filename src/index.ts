/** The public names of holdfast. The savers are at `holdfast/sqlite` and `holdfast/postgres`. */

/** Time travel: a thread's states, what changed between them, and going on from any of them. */
export { diff, findCheckpoint, fork, formatDiff, history, rewind } from "./history/index.ts";
export type {
  Address,
  AnySaver,
  Change,
  DiffOptions,
  FindCheckpointOptions,
  Fork,
  ForkOptions,
  FormatDiffOptions,
  HistoryOptions,
  HistoryPoint,
  HistorySource,
  Path,
  PendingInterrupt,
  RewindOptions,
  TimeTravelGraph,
} from "./history/index.ts";

/** Bringing threads over from any other LangGraph saver, by LangGraph's own contract. */
export { importThreads } from "./history/index.ts";
export type { ImportOptions, ImportProgress, ImportResult } from "./history/index.ts";

/** Threads: what both savers offer beyond LangGraph's contract. */
export type {
  ChannelStats,
  ListThreadsOptions,
  PrunePolicy,
  PruneResult,
  ThreadInfo,
  ThreadPage,
  ThreadStats,
  ThreadStore,
} from "./store.ts";

/** Errors: one class per decision that a caller can take, recognised by brand and code. */
export {
  CorruptDataError,
  DatabaseUnavailableError,
  HoldfastError,
  InvalidInputError,
  MissingDependencyError,
  NotFoundError,
  SchemaTooNewError,
  ThreadGoneError,
  UnserializableError,
  isHoldfastError,
} from "./errors.ts";
