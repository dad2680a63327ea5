/**
 * The port: runs that were accepted, in the order in which they were.
 *
 * Types and contract prose only. All changes of a thread's runs and of its lease are made by turns: a
 * pure decision sees them as they are, nobody else changes them meanwhile, and what it says is stored
 * in one transaction. The rules are in `turns.ts`.
 */

/** What a run, or a thread, is doing. */
export type WorkflowState =
  | "queued"
  | "running"
  | "parked"
  | "interrupted"
  | "completed"
  | "failed"
  | "cancelled"
  | "compensating"
  | "dead";

/**
 * How a run is to be stopped: "cancel" takes back what it did, "rollback" also removes its checkpoints,
 * "interrupt" keeps both.
 */
export type StopRequest = "cancel" | "interrupt" | "rollback";

/** What happens to a new run where one is active on its thread; LangGraph's words. */
export type MultitaskStrategy = "reject" | "enqueue" | "interrupt" | "rollback";

export interface RunRecord {
  /** At most 200 characters. */
  runId: string;
  threadId: string;
  /** The name under which workers know it. */
  graph: string;
  status: WorkflowState;
  /** The order in which runs were accepted; 0 for one that is not stored yet. */
  seq: number;
  /** Greater goes first, among threads; within one, runs go in their order. */
  priority: number;
  /** No worker takes it earlier; undefined where somebody has to act first. */
  startAt: number | undefined;
  deadlineAt: number | undefined;
  enqueuedAt: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
  /** How often a worker took it. */
  attempt: number;
  /** How many of its workers died since somebody looked at it. */
  crashes: number;
  stop: StopRequest | undefined;
  /** Since when it waits for a person: time that does not count against its deadline. */
  waitingSince: number | undefined;
  /** Of the version of its graph under which it stands where it does; undefined before its first attempt. */
  fingerprint: string | undefined;
  /** Why it waits, or ended as it did. */
  reason: string | undefined;
  /** The schedule that fired it. */
  schedule: string | undefined;
}

/** Limits of a run, shared by all models, tools and nodes in it. */
export interface RunBudget {
  /** Budgets of different names are kept apart; default "budget". */
  name?: string;
  /** US dollars. */
  usd?: number;
  /** Input and output together. */
  tokens?: number;
  calls?: number;
  /** Attempts after the first. */
  retries?: number;
  /** What becomes of a call that it does not cover: it fails (default), or a person is asked. */
  onExhausted?: "fail" | "ask";
}

/** What of a run is the user's. */
export interface RunDetails {
  input: unknown;
  metadata: Record<string, unknown>;
  /** The most supersteps of one invocation. */
  stepLimit: number | undefined;
  /** How long it may take, in milliseconds, each time that it is sent on its way by hand. */
  deadline?: number | undefined;
  /** What all that it does may cost. */
  budget?: RunBudget | undefined;
  /** What of it is kept as it streams; none where it is undefined or empty. */
  streamMode?: readonly string[] | undefined;
  /** For its nodes, as `config.configurable`. */
  configurable?: Record<string, unknown> | undefined;
  /** False where what it did stays when it fails or is cancelled. */
  compensate?: boolean | undefined;
  /** Who asked for it works on it. */
  attended?: boolean | undefined;
}

/** What a run that ended left, beside its checkpoints. */
export interface RunEnd {
  /** Its last state. */
  checkpointId: string | undefined;
  error: { name: string; message: string } | undefined;
  undone: string[];
  stuck: string[];
}

export interface StoredRun extends RunRecord {
  details: RunDetails;
  end: RunEnd | undefined;
}

/** A thread as a decision sees it. */
export interface Turn {
  now: number;
  /** The lease that is held, expired or not. */
  lease: { owner: string; expiresAt: number } | undefined;
  /** Of the newest lease, also where it was given back. */
  token: number;
  /** The runs that have not ended and the one asked for, oldest first. */
  runs: readonly RunRecord[];
}

export interface Decided<Result> {
  /** New ones, and changed ones. */
  put?: readonly RunRecord[];
  /** Taken with the next token, or given back. */
  lease?: { owner: string; expiresAt: number } | "released";
  result: Result;
}

/** A schedule goes on to its next instant (schedule-store.ts). */
export interface ScheduleMove {
  name: string;
  /** Only from this revision, */
  from: string;
  /** to this one. */
  to: string;
  nextAt: number | undefined;
  /** What was fired; undefined where instants are left out. */
  fired: { at: number; runId: string } | undefined;
}

export interface TurnOptions {
  /** Seen by the decision also where it has ended. */
  runId?: string;
  /** Of the new run, or instead of those that run `runId` has. */
  details?: RunDetails;
  /** Of the run with `runId`. */
  end?: RunEnd;
  /** Gives up where somebody else has the turn; the result is then undefined. Default false. */
  skipBusy?: boolean;
  /**
   * Moves a schedule in the same transaction. Where it has another revision, nothing is decided, and
   * the result is undefined.
   */
  move?: ScheduleMove;
}

/** What a worker needs of the run that it took. */
export interface TakenRun {
  details: RunDetails;
  end: RunEnd | undefined;
  /** Its thread has no checkpoint, for certain. */
  isEmpty: boolean;
}

export interface RunQueue {
  /**
   * Makes a decision about a thread. `decide` is pure: it may be called again, and its last call counts.
   * What it throws is the caller's, and changes nothing.
   * A new run whose id is that of another thread's run is not stored.
   * @throws {UnserializableError} details that cannot be kept
   */
  turn<Result>(
    threadId: string,
    decide: (turn: Turn) => Decided<Result>,
    options?: TurnOptions,
  ): Promise<Result | undefined>;
  /**
   * A turn that may take a run for a worker, and then tells what the worker needs of it; undefined where
   * somebody else has the turn.
   */
  take<Result>(
    threadId: string,
    decide: (turn: Turn) => Decided<Result>,
  ): Promise<{ result: Result; taken: TakenRun | undefined } | undefined>;
  /** Threads with something for a worker to do now: runs that are due, and runs whose lease has expired. */
  due(query: { graphs: readonly DueGraph[]; limit: number }): Promise<string[]>;
  /** Threads whose run is at work under a lease, and who holds that. */
  working(): Promise<{ threadId: string; owner: string }[]>;
  /** When the next run is due that is not due now, and what time it is. */
  nextAt(graphs: readonly string[]): Promise<{ at: number | undefined; now: number }>;
  /** Which of these are to be stopped. */
  stopping(runIds: readonly string[]): Promise<string[]>;
  /** Which of these are over, or wait for a person. */
  settled(runIds: readonly string[]): Promise<string[]>;
  /** Whether a run's input is in a checkpoint. */
  hasBegun(threadId: string, runId: string): Promise<boolean>;
  read(runId: string): Promise<StoredRun | undefined>;
  /** Latest first; 100 unless told otherwise. */
  list(query?: RunQuery): Promise<RunRecord[]>;
  /** Only where the database is a server, which several machines share. */
  readonly server?: RunServer;
}

/** What an engine of several machines needs of the database that the runs are in. */
export interface RunServer {
  /** Lets somebody store something of their own with each turn, until the returned function is called. */
  join(guest: TurnGuest): () => void;
  /** SQL with `$1`, `$2`, ...; results as the driver has them. Sent again where its connection broke. */
  execute(text: string, values?: readonly unknown[]): Promise<SqlResult>;
  /**
   * Hears what is told within turns (`TurnTransaction.tell`), over a connection of its own. Never fails:
   * a connection that is lost, or half-open, is made anew, and until then nothing is heard.
   */
  listen(ear: Ear): { end(): void };
}

export interface SqlResult {
  rows: unknown[];
}

export interface Ear {
  /** An empty message stands for one that was too long. */
  heard(message: string): void;
  /** It hears from now on, perhaps again: what was told before is lost. */
  connected(): void;
}

/** Stores something of its own with a thread's runs: both are there, or neither. */
export interface TurnGuest {
  /** Before the transaction begins. What it throws is the caller's, and nothing is stored. */
  prepare(): Promise<void>;
  /**
   * Within the transaction of a turn that changed something; it may be called again, if that breaks.
   * Where it throws, the turn is made without it, and `failed` is told.
   */
  store(change: TurnChange, transaction: TurnTransaction): Promise<void>;
  failed(error: unknown): void;
}

/** How a turn leaves a thread. */
export interface TurnChange {
  now: number;
  /** Those that have not ended, in the order in which they were accepted. */
  runs: readonly RunRecord[];
}

export interface TurnTransaction {
  execute(text: string, values?: readonly unknown[]): Promise<SqlResult>;
  /** Tells all processes that listen, once the transaction is committed. */
  tell(message: string): Promise<void>;
}

/** A graph whose runs are looked for. */
export interface DueGraph {
  name: string;
  /** Only runs that were begun under this version, or not yet. */
  fingerprint?: string;
}

export interface RunQuery {
  /** That run alone. */
  runId?: string;
  status?: WorkflowState;
  graph?: string;
  threadId?: string;
  /** Fired by the schedule of this name. By no index: runs are looked through, latest first, until there are enough. */
  schedule?: string;
  /** Accepted at that instant or later. */
  since?: number;
  /** What the run's id begins with. */
  prefix?: string;
  limit?: number;
}
