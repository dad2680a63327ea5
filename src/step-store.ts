/**
 * The port: what durable steps need from a database beyond checkpoints.
 *
 * Types and contract prose only. `checkpointers/steps/` implements it over both dialects, and
 * `steps/memory.ts` what of it can do without a database. A holdfast saver has one as `saver.steps`.
 *
 * All instants are milliseconds since the epoch by the database's clock, which all processes share
 * (the saver's own `clock`, where a test gave it one).
 */

import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";
import type { ApprovalStore } from "./approval-store.ts";
import type { Clock } from "./clock.ts";
import type { EffectStore } from "./effect-store.ts";
import type { EventStore } from "./event-store.ts";
import type { PulseStore } from "./pulse-store.ts";
import type { RunEventStore } from "./run-event-store.ts";
import type { RunQueue, WorkflowState } from "./run-store.ts";
import type { ScheduleStore } from "./schedule-store.ts";

/** The name of a row that is shared by all who use it; with a thread it goes with that thread. */
export interface StateKey {
  name: string;
  threadId?: string;
}

/** What becomes of a state: `undefined` leaves it, `null` removes it. The result is the caller's. */
export interface Decision<State, Result> {
  state?: State | null;
  result: Result;
}

/** Kinds of shared states; each has its table. They hold plain JSON, and nothing of the user's data. */
export type StateKind = "breakers" | "limits" | "budgets";

export interface StoredState<State = unknown> {
  name: string;
  threadId: string | undefined;
  state: State;
  updatedAt: number;
}

/** Small states that many processes change by turns: breakers, limits, budgets. */
export interface StateStore {
  /**
   * Changes a state. `decide` is pure: it may be called several times (the database was lost, or
   * somebody else was faster), and its last call counts. Everyone who decides on the same key does so
   * one after the other, in all processes; what `decide` throws is the caller's, and changes nothing.
   */
  decide<State, Result>(
    kind: StateKind,
    key: StateKey,
    decide: (state: State | undefined, now: number) => Decision<State, Result>,
  ): Promise<Result>;
  /** A look without a lock. */
  read(kind: StateKind, key: StateKey): Promise<{ state: unknown; now: number }>;
  /** By name; with a thread only that thread's. */
  list(kind: StateKind, options?: { prefix?: string; threadId?: string }): Promise<StoredState[]>;
}

/** A task of a checkpoint: what LangGraph runs again after a crash, under the same id. */
export interface TaskAddress {
  threadId: string;
  /** Of the graph that the task is in. */
  namespace: string;
  checkpointId: string;
  taskId: string;
}

/** A task's attempts so far. Kept from the first one that fails, crashes or takes long. */
export interface AttemptsRecord {
  /** Attempts of this series that ended in failure, those that crashed included. */
  failed: number;
  /** When the series began. */
  startedAt: number;
  /** The attempt that runs now, or ran when its process died. */
  running?: { attempt: number; process: string; startedAt: number } | undefined;
  /** The next attempt may not begin earlier. */
  nextAttemptAt?: number | undefined;
  /** The last failure. */
  error?: { name: string; message: string; kind: string; at: number } | undefined;
  /** The series ended without success; the next attempt begins a new one. */
  exhausted?: boolean | undefined;
  /** Time spent waiting for a person, for deadlines that do not count it. */
  waited?: number | undefined;
  /** Until when its node's body sleeps, by occurrence of `sleep()`. */
  wakeAt?: readonly number[] | undefined;
}

export interface AttemptStore {
  /** Costs nothing for tasks of checkpoints that this process wrote since, which nobody has tried. */
  read(task: TaskAddress): Promise<AttemptsRecord | undefined>;
  /** Durable when it settles; null removes. */
  write(task: TaskAddress, record: AttemptsRecord | null): Promise<void>;
  /** Becomes durable soon (within about 100 ms), together with whatever else does; the last one counts. */
  note(task: TaskAddress, record: AttemptsRecord | null): void;
}

/** What a thread is doing, or did last: a row of the view `workflow_status`. */
export interface WorkflowStatus {
  threadId: string;
  runId: string | undefined;
  /** The graph's name, where it is known. */
  workflowName: string | undefined;
  currentStep: string | undefined;
  attempt: number | undefined;
  startedAt: number;
  lastHeartbeat: number;
  progressPercent: number | undefined;
  progressNote: string | undefined;
  status: WorkflowState;
  errorMessage: string | undefined;
  /** How long this run has waited for people, all waits together. */
  waited: number;
  /** The process that holds the thread's lease, or held it last and did not give it back: `host:pid:start#n`. */
  worker: string | undefined;
}

/** What changed; `undefined` clears. A thread's first note begins as "running", now. */
export type StatusNote = Partial<Omit<WorkflowStatus, "threadId" | "lastHeartbeat" | "worker">>;

export interface StatusStore {
  /** Becomes durable soon (within about 100 ms), together with whatever else does. */
  note(threadId: string, note: StatusNote): void;
  /** One indexed read. */
  read(threadId: string): Promise<WorkflowStatus | undefined>;
  /** Latest heartbeat first; 100 unless told otherwise. */
  list(options?: { status?: WorkflowState; limit?: number }): Promise<WorkflowStatus[]>;
  /** Settles when all that was noted is durable. */
  flush(): Promise<void>;
}

/** One use of a model, or of anything that costs. */
export interface UsageRow {
  threadId: string | undefined;
  runId: string | undefined;
  node: string | undefined;
  model: string;
  inputTokens: number;
  outputTokens: number;
  usd: number | undefined;
  /** Counted here, since the provider did not tell. */
  estimated: boolean;
  /** The call ended in failure. */
  failed: boolean;
  at: number;
}

export interface UsageTotals {
  /** The thread, run, node or model; empty for uses without one. */
  key: string;
  calls: number;
  inputTokens: number;
  outputTokens: number;
  usd: number;
}

export interface UsageStore {
  /** Becomes durable soon. */
  add(row: UsageRow): void;
  /** Settles when all that was added is durable, or reported as not to be stored now. */
  settled(): Promise<void>;
  /** Most expensive first. */
  totals(options: {
    by: "thread" | "run" | "node" | "model";
    threadId?: string;
    runId?: string;
    since?: number;
  }): Promise<UsageTotals[]>;
}

/** Who may write to a thread. */
export interface Lease {
  threadId: string;
  owner: string;
  /** Grows with every acquisition; a writer with an older one is refused. */
  token: number;
  expiresAt: number;
}

export interface LeaseStore {
  /**
   * Takes the thread for so many milliseconds. An owner may take its own again.
   * @throws {ThreadBusyError} somebody else has it
   */
  acquire(threadId: string, owner: string, duration: number): Promise<Lease>;
  /** @throws {LeaseLostError} somebody else has it, or had it since */
  renew(lease: Lease, duration: number): Promise<Lease>;
  /** Gives it back; nothing where it was lost. */
  release(lease: Lease): Promise<void>;
  read(threadId: string): Promise<Lease | undefined>;
}

/** The run that a task belongs to: from its input on, across interrupts, failures and processes. */
export interface RunAddress {
  /** Stable through all invocations, in all processes; the id of the input's checkpoint. */
  runId: string;
  /** When its input was stored. */
  startedAt: number;
}

export interface RunStore {
  /**
   * The run that a checkpoint (of the outermost graph) is in: that of the nearest input among it and its
   * ancestors; of the oldest of them, where there is none (imported, or pruned). Checkpoints that are not
   * stored while a graph runs ("exit" durability) are in one run, which begins with the first asked for.
   */
  of(threadId: string, checkpointId: string): Promise<RunAddress>;
}

/** Everything; `effects` and `approvals` have their own files beside this one. */
export interface StepStore {
  /** The database's time. */
  now(): Promise<number>;
  /**
   * What is waited by, and what tells the time where asking the database would cost a query: the
   * saver's own clock, which is this machine's unless a test gave it one.
   */
  readonly clock: Clock;
  readonly states: StateStore;
  readonly attempts: AttemptStore;
  readonly status: StatusStore;
  readonly usage: UsageStore;
  readonly runs: RunStore;
  /** Only with a database. */
  readonly approvals?: ApprovalStore;
  /** Only with a database. */
  readonly leases?: LeaseStore;
  /** Only with a database. */
  readonly effects?: EffectStore;
  /** Only with a database. */
  readonly queue?: RunQueue;
  /** Only with a database. */
  readonly events?: EventStore;
  /** Only with a database. */
  readonly runEvents?: RunEventStore;
  /** Only with a database. */
  readonly schedules?: ScheduleStore;
  /** Only with a database. */
  readonly pulses?: PulseStore;
}

/**
 * The configurable key under which a lease's token travels to every write of an invocation. LangGraph
 * copies keys without "__" into each checkpoint's metadata.
 */
export const LEASE_TOKEN_KEY = "__holdfast_lease_token";

/**
 * Beside it: until when this process may count on the lease, by its own clock. What must not begin after
 * that looks there first: timers of a process that stood still come late.
 */
export const LEASE_UNTIL_KEY = "__holdfast_lease_until";

export type DurableSaver = BaseCheckpointSaver & { readonly steps: StepStore };

/** True for a saver whose steps are durable, of any copy of the package. */
export function isDurableSaver(saver: unknown): saver is DurableSaver {
  if (typeof saver !== "object" || saver === null) return false;
  const { steps } = saver as { steps?: unknown };
  return typeof steps === "object" && steps !== null && "attempts" in steps && "states" in steps;
}

/** The lease that a config carries; undefined for an invocation without one. */
export function leaseTokenOf(config: RunnableConfig): number | undefined {
  const token: unknown = config.configurable?.[LEASE_TOKEN_KEY];
  return typeof token === "number" ? token : undefined;
}

/** A config for a write that belongs to what is done under another one's lease. */
export function withLeaseOf(config: RunnableConfig, leased: RunnableConfig): RunnableConfig {
  const token = leaseTokenOf(leased);
  if (token === undefined) return config;
  return { ...config, configurable: { ...config.configurable, [LEASE_TOKEN_KEY]: token } };
}

/** Until when the lease that a config carries certainly holds; undefined without one. */
export function leaseUntilOf(config: RunnableConfig): (() => number) | undefined {
  const until: unknown = config.configurable?.[LEASE_UNTIL_KEY];
  return typeof until === "function" ? (until as () => number) : undefined;
}
