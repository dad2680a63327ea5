/**
 * Steps kept in memory: for graphs with other savers, and for tests.
 *
 * It behaves as the databases do, within one process and for as long as that lives: what is handed in
 * or out is a copy, and nothing is shared with another process.
 *
 * Invariants
 *   M1  Nobody gets an object that is kept here, or keeps one.
 *   M2  Memory is bounded where the number of entries grows with the work done: attempts, and
 *       checkpoints whose run is known. The oldest are forgotten. States are as many as there are names.
 */

import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { systemClock, type Clock } from "../clock.ts";
import { compareTexts } from "../ids.ts";
import type {
  AttemptStore,
  AttemptsRecord,
  RunAddress,
  RunStore,
  StateKey,
  StateKind,
  StateStore,
  StatusStore,
  StepStore,
  StoredState,
  TaskAddress,
  UsageRow,
  UsageStore,
  UsageTotals,
  WorkflowStatus,
} from "../step-store.ts";

export interface MemoryStepsOptions {
  /** Default: the system's. */
  clock?: Clock;
  /** Where the ancestors of checkpoints are looked up; without one each is a run of its own. */
  saver?: BaseCheckpointSaver | undefined;
}

const MAX_TASKS = 10_000;
const MAX_CHECKPOINTS = 10_000;

/** A step store without a database. */
export function memorySteps(options: MemoryStepsOptions = {}): StepStore {
  const clock = options.clock ?? systemClock;
  return {
    now: () => Promise.resolve(clock.now()),
    clock,
    states: new MemoryStates(clock),
    attempts: new MemoryAttempts(),
    status: new MemoryStatus(clock),
    usage: new MemoryUsage(),
    runs: new MemoryRuns(clock, options.saver),
  };
}

interface KeptState extends Omit<StoredState, "state"> {
  /** JSON, as a database would keep it. */
  text: string;
}

class MemoryStates implements StateStore {
  readonly #clock: Clock;
  readonly #kinds: Record<StateKind, Map<string, KeptState>> = {
    breakers: new Map(),
    limits: new Map(),
    budgets: new Map(),
  };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async decide<State, Result>(
    kind: StateKind,
    { name, threadId }: StateKey,
    decide: (state: State | undefined, now: number) => { state?: State | null; result: Result },
  ): Promise<Result> {
    const states = this.#kinds[kind];
    const place = placeOf(threadId, name);
    const now = this.#clock.now();
    const { state, result } = decide(parsed(states.get(place)) as State | undefined, now);
    if (state === null) states.delete(place);
    else if (state !== undefined) {
      states.set(place, { name, threadId, text: JSON.stringify(state), updatedAt: now });
    }
    return result;
  }

  async read(
    kind: StateKind,
    { name, threadId }: StateKey,
  ): Promise<{ state: unknown; now: number }> {
    const state = parsed(this.#kinds[kind].get(placeOf(threadId, name)));
    return { state, now: this.#clock.now() };
  }

  async list(
    kind: StateKind,
    { prefix = "", threadId }: { prefix?: string; threadId?: string } = {},
  ): Promise<StoredState[]> {
    return [...this.#kinds[kind].values()]
      .filter((kept) => kept.name.startsWith(prefix))
      .filter((kept) => threadId === undefined || kept.threadId === threadId)
      .map(({ text, ...kept }) => ({ ...kept, state: JSON.parse(text) as unknown }))
      .toSorted(
        (a, b) => compareTexts(a.name, b.name) || compareTexts(a.threadId ?? "", b.threadId ?? ""),
      );
  }
}

class MemoryAttempts implements AttemptStore {
  readonly #records = new Map<string, AttemptsRecord>();

  async read(task: TaskAddress): Promise<AttemptsRecord | undefined> {
    // Of most tasks nothing is kept, and asking costs them as little as may be.
    if (this.#records.size === 0) return undefined;
    const record = this.#records.get(taskPlace(task));
    return record === undefined ? undefined : structuredClone(record);
  }

  async write(task: TaskAddress, record: AttemptsRecord | null): Promise<void> {
    this.note(task, record);
  }

  note(task: TaskAddress, record: AttemptsRecord | null): void {
    if (record === null) this.#records.delete(taskPlace(task));
    else keep(this.#records, taskPlace(task), structuredClone(record), MAX_TASKS);
  }
}

class MemoryStatus implements StatusStore {
  readonly #clock: Clock;
  readonly #threads = new Map<string, WorkflowStatus>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(threadId: string, note: Partial<WorkflowStatus>): void {
    const now = this.#clock.now();
    const status: WorkflowStatus = {
      runId: undefined,
      workflowName: undefined,
      currentStep: undefined,
      attempt: undefined,
      startedAt: now,
      progressPercent: undefined,
      progressNote: undefined,
      status: "running",
      errorMessage: undefined,
      waited: 0,
      worker: undefined,
      ...this.#threads.get(threadId),
      ...note,
      threadId,
      lastHeartbeat: now,
    };
    // The latest one last: the listing's order where instants are equal.
    this.#threads.delete(threadId);
    this.#threads.set(threadId, status);
  }

  async read(threadId: string): Promise<WorkflowStatus | undefined> {
    return structuredClone(this.#threads.get(threadId));
  }

  async list({
    status,
    limit = 100,
  }: { status?: WorkflowStatus["status"]; limit?: number } = {}): Promise<WorkflowStatus[]> {
    return [...this.#threads.values()]
      .toReversed()
      .filter((found) => status === undefined || found.status === status)
      .toSorted((a, b) => b.lastHeartbeat - a.lastHeartbeat)
      .slice(0, limit)
      .map((found) => structuredClone(found));
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }
}

const MAX_USAGE_ROWS = 100_000;

class MemoryUsage implements UsageStore {
  #rows: UsageRow[] = [];

  add(row: UsageRow): void {
    this.#rows.push({ ...row });
    if (this.#rows.length > MAX_USAGE_ROWS) this.#rows = this.#rows.slice(-MAX_USAGE_ROWS / 2);
  }

  settled(): Promise<void> {
    return Promise.resolve();
  }

  async totals({
    by,
    threadId,
    runId,
    since = -Infinity,
  }: Parameters<UsageStore["totals"]>[0]): Promise<UsageTotals[]> {
    const totals = new Map<string, UsageTotals>();
    for (const row of this.#rows) {
      if (row.at < since) continue;
      if (threadId !== undefined && row.threadId !== threadId) continue;
      if (runId !== undefined && row.runId !== runId) continue;
      const key =
        { thread: row.threadId, run: row.runId, node: row.node, model: row.model }[by] ?? "";
      const total = totals.get(key) ?? { key, calls: 0, inputTokens: 0, outputTokens: 0, usd: 0 };
      totals.set(key, total);
      total.calls += 1;
      total.inputTokens += row.inputTokens;
      total.outputTokens += row.outputTokens;
      total.usd += row.usd ?? 0;
    }
    return [...totals.values()].toSorted((a, b) => b.usd - a.usd || compareTexts(a.key, b.key));
  }
}

class MemoryRuns implements RunStore {
  readonly #clock: Clock;
  readonly #saver: BaseCheckpointSaver | undefined;
  readonly #runs = new Map<string, RunAddress>();

  constructor(clock: Clock, saver: BaseCheckpointSaver | undefined) {
    this.#clock = clock;
    this.#saver = saver;
  }

  async of(threadId: string, checkpointId: string): Promise<RunAddress> {
    const walked: string[] = [];
    let run: RunAddress | undefined;
    let at: string | undefined = checkpointId;
    while (at !== undefined) {
      const known = this.#runs.get(placeOf(threadId, at));
      if (known !== undefined) {
        run = known;
        break;
      }
      const tuple = await this.#saver?.getTuple({
        configurable: { thread_id: threadId, checkpoint_ns: "", checkpoint_id: at },
      });
      if (tuple === undefined) break;
      walked.push(at);
      const startedAt = Date.parse(tuple.checkpoint.ts);
      run = { runId: at, startedAt: Number.isNaN(startedAt) ? this.#clock.now() : startedAt };
      if (tuple.metadata?.source === "input") break;
      at = tuple.parentConfig?.configurable?.["checkpoint_id"] as string | undefined;
    }
    // Nothing stored, or no saver to ask: it begins here, and is remembered so that it stays put.
    run ??= { runId: checkpointId, startedAt: this.#clock.now() };
    for (const id of [...walked, checkpointId]) {
      keep(this.#runs, placeOf(threadId, id), run, MAX_CHECKPOINTS);
    }
    return { ...run };
  }
}

function parsed(kept: KeptState | undefined): unknown {
  return kept === undefined ? undefined : (JSON.parse(kept.text) as unknown);
}

function placeOf(threadId: string | undefined, name: string): string {
  return threadId === undefined ? `:${name}` : `${threadId.length}:${threadId}${name}`;
}

function taskPlace({ threadId, namespace, checkpointId, taskId }: TaskAddress): string {
  return [threadId, namespace, checkpointId, taskId].map((id) => `${id.length}:${id}`).join("");
}

/** Invariant M2. */
function keep<Value>(map: Map<string, Value>, key: string, value: Value, most: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
