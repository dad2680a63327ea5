/** The public names of holdfast. The savers are at `holdfast/sqlite` and `holdfast/postgres`. */

/** Steps: nodes under policies, and the fields of a run in the graph's own state. */
export { durable } from "./steps/durable.ts";
export type { Durable, DurableFor, DurableRunnableOf, NodeFunction } from "./steps/durable.ts";
export type { DurablePolicy, Failure, TimeoutPolicy } from "./steps/durable-policy.ts";
export { durableModel } from "./steps/model.ts";
export type { DurableModel } from "./steps/model.ts";
export type { ModelPolicy } from "./steps/model/policy.ts";
export { durableTool } from "./steps/tool.ts";
export type { ToolCallConfig } from "./steps/tool.ts";
export type { ToolPolicy } from "./steps/tool/policy.ts";
export { runToEnd } from "./run/run-to-end.ts";
export type { RunToEndOptions } from "./run/run.ts";
export type { RunOutcome, Waiting } from "./run/outcome.ts";
export type { Gate } from "./run/gate.ts";
export type { Question } from "./run/tasks.ts";
export { approval } from "./steps/approval.ts";
export type { ApprovalRequest, Decided } from "./steps/approval.ts";
export { approvals } from "./steps/inbox.ts";
export type { AnswerOptions, Inbox, ListApprovalsOptions } from "./steps/inbox.ts";
export type { Approval, ApprovalAnswer, ApprovalStatus, ApprovalVerb } from "./approval-store.ts";
export { emit } from "./steps/emit.ts";
export { waitForEvent } from "./steps/wait-for-event.ts";
export type { ReceivedEvent, WaitForEventOptions } from "./steps/wait-for-event.ts";
export { sleep, sleepUntil } from "./steps/sleep.ts";
export { progress } from "./steps/progress.ts";
export { parkOf } from "./steps/wait.ts";
export type { Parked } from "./steps/wait.ts";
export { durableState, durableStateSchema, durableZodState, withDeadline } from "./state.ts";
export type { DeadlineOptions, DurableFields } from "./state.ts";
export type { Clock } from "./clock.ts";

/** The same policies around any function, without a graph or a database; and what they go by. */
export { retry } from "./policy/retry.ts";
export type { RetryAttempt, RetryOptions } from "./policy/retry.ts";
export type { CurveOptions, ErrorClass, RetryOn, RetryPolicy } from "./policy/retry-policy.ts";
export type { Jitter } from "./policy/backoff.ts";
export type { BreakerPolicy } from "./policy/breaker.ts";
export type { LimitPolicy } from "./policy/limit.ts";
export type { BudgetPolicy } from "./policy/budget.ts";
export type { BudgetQuestion } from "./steps/budget-question.ts";
export { classify } from "./policy/classify.ts";
export type {
  Classification,
  Classifier,
  ClassifyContext,
  ErrorKind,
  Verdict,
} from "./policy/classify.ts";

/** What holdfast decides while it works, as events. */
export { events } from "./events.ts";
export type { EmittedEvent, EventName, EventOrigin, HoldfastEvents } from "./events.ts";

/** Side effects that happen once, and are taken back when their run fails for good. */
export { effect } from "./effects/effect.ts";
export { transaction } from "./effects/transaction.ts";
export { idempotent } from "./effects/idempotent.ts";
export { compensate } from "./effects/saga.ts";
export { stuck } from "./effects/stuck.ts";
export type {
  CallOptions,
  Effect,
  EffectContext,
  EffectOptions,
  Reconciled,
  SettlingContext,
} from "./effects/types.ts";
export type { SqliteHandle, TransactionOptions } from "./effects/transaction.ts";
export type { IdempotentOptions } from "./effects/idempotent.ts";
export type {
  CompensableGraph,
  CompensateOptions,
  Compensation,
  UndoneEffect,
} from "./effects/saga.ts";
export type { FoundOut, StuckCompensation } from "./effects/stuck.ts";
export type {
  ForkedEffectAnswer,
  ForkedEffectQuestion,
  UnknownEffectAnswer,
  UnknownEffectQuestion,
} from "./effects/questions.ts";

/** A runtime: runs that are accepted durably, and done by workers of any number of processes. */
export { createRuntime } from "./runtime/create-runtime.ts";
export type { Runtime } from "./runtime/runtime.ts";
export type { EmitOptions, Emitted } from "./runtime/event-desk.ts";
export type { Listener, OnOptions, TriggerEvent } from "./runtime/triggers.ts";
export type {
  GraphOptions,
  RunInfo,
  RunResult,
  RuntimeOptions,
  ScheduleInfo,
  ScheduleOptions,
  StartOptions,
} from "./runtime/types.ts";
export type {
  ChangedThread,
  GraphChangePolicy,
  MigratedThread,
  Migration,
} from "./run/graph-change.ts";
export type {
  StreamChunk,
  StreamEvent,
  StreamMode,
  StreamNotes,
  StreamOptions,
  Voids,
} from "./runtime/stream.ts";
export type { MultitaskStrategy, RunQuery } from "./run-store.ts";
export type { Missed } from "./schedule-store.ts";
export type { DrainOptions, Worker, WorkerOptions } from "./worker/worker.ts";
export type { Delivery, Engine, EngineSite, Listening } from "./engine/engine.ts";
export { localEngine } from "./engine/local.ts";
export type { LocalEngineOptions } from "./engine/local.ts";

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

export type { ForkEffects } from "./effect-store.ts";
export type { ForkCompensation } from "./forking.ts";

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
  AttemptCrashedError,
  AttemptTimeoutError,
  BreakerOpenError,
  BudgetExceededError,
  CorruptDataError,
  DatabaseUnavailableError,
  DeadlineExceededError,
  EffectConflictError,
  EffectUnknownError,
  GraphChangedError,
  HoldfastError,
  InvalidInputError,
  LeaseLostError,
  LimitExceededError,
  MissingDependencyError,
  NotDurableError,
  NotFoundError,
  RejectedError,
  RunActiveError,
  SchemaTooNewError,
  ThreadBusyError,
  ThreadGoneError,
  UnserializableError,
  isHoldfastError,
} from "./errors.ts";
