/**
 * One attempt of one accepted run, by the worker that claimed it: from where its thread stands, until
 * it has ended, waits for a time or a person, or is told to stop.
 *
 * What the attempt did is in the thread's checkpoints and in the ledger; what it says at the end moves the
 * run's row (turns.ts). A worker that dies in between is followed by another one, which reads the same.
 *
 * Invariants
 *   A1  The input is given to LangGraph once: not where a checkpoint of the run is stored already.
 *   A2  A run that is to be stopped does not go on: no node of it begins any more.
 *   A3  A run's own failure ends it. What is not (a lost lease, a database that is gone) is thrown, and
 *       the run goes on elsewhere, or later.
 *   A4  Only what this run did is taken back: nothing, where no checkpoint of it is stored.
 *   A5  A run that was begun under another version of its graph goes on as was chosen, and never so that
 *       a node is skipped or run again (graph-change.ts).
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import { RunControl } from "@langchain/langgraph";
import { anySignal } from "../abort.ts";
import { events } from "../events.ts";
import { DEADLINE_KEY, PARK_AFTER_KEY } from "../context.ts";
import { DeadlineExceededError, LeaseLostError, isHoldfastError } from "../errors.ts";
import { resolveBudget } from "../policy/budget.ts";
import { scopeOf, withBudget } from "../steps/budget-scope.ts";
import { accountOf } from "../steps/budgets.ts";
import type { RunEnd, StopRequest, StoredRun } from "../run-store.ts";
import { durableFieldsOf, durableState } from "../state.ts";
import { type DurableSaver, type Lease } from "../step-store.ts";
import { adopt, type Ending } from "../turns.ts";
import { answersFor } from "./answers.ts";
import { begin, goOn } from "./drive.ts";
import { finish } from "./finish.ts";
import { withSaver } from "./graph.ts";
import { adaptRun, type HostedGraph } from "./graph-change.ts";
import { configurableOf, keepLease, type HeldLease } from "./lease.ts";
import type { RunOutcome } from "./outcome.ts";
import type { RunStream } from "./run-stream.ts";
import type { Run } from "./run.ts";
import { Silence } from "./silence.ts";
import {
  failEmpty,
  failureOnRecord,
  isTakenBack,
  takeBack,
  unfinishedFailure,
} from "./take-back.ts";
import { NEVER } from "../steps/wait.ts";
import { isFinished, readLevel, type Level } from "./tasks.ts";

/** Shorter waits than this stay in the process. */
const PARK_AFTER = 5_000;

const TASKS = "tasks";

export interface AttemptOptions {
  hosted: HostedGraph;
  saver: DurableSaver;
  run: StoredRun;
  lease: Lease;
  /** The thread had no checkpoint when the lease was taken. */
  isEmpty: boolean;
  /** Our clock's time before the lease was asked for. */
  asked: number;
  /** Of the lease, in milliseconds. */
  duration: number;
  /** Where what it streams is kept. */
  stream?: RunStream | undefined;
  /** Hears what LangGraph's stream mode "tasks" says, subgraphs included. */
  onTasks?: ((chunk: unknown) => void) | undefined;
}

export interface AttemptEnd {
  ending: Ending;
  /** Only of a run that is over. */
  end: RunEnd | undefined;
  /** Its last state, where that was just read: nobody else's. Only of a run that completed. */
  values?: Record<string, unknown>;
}

export class Attempt {
  readonly #options: AttemptOptions;
  readonly #control = new RunControl();
  readonly #broken = new AbortController();
  readonly #silence: Silence;
  #stop: StopRequest | undefined;
  #stopReason: string | undefined;

  constructor(options: AttemptOptions) {
    this.#options = options;
    this.#stop = options.run.stop;
    if (this.#stop !== undefined) this.#stopReason = options.run.reason;
    this.#silence = new Silence(options.saver.steps, options.run.threadId);
  }

  get runId(): string {
    return this.#options.run.runId;
  }

  /** Ends the run; what its nodes are doing is broken off. */
  stop(request: StopRequest, reason: string | undefined): void {
    this.#stop ??= request;
    this.#stopReason ??= reason;
    this.#broken.abort(new Error(`The run is to be stopped (${request}).`));
  }

  /** Says once that nothing was heard of the run for so many milliseconds. */
  async tellOfStall(limit: number): Promise<void> {
    const stall = await this.#silence.stalled(limit);
    if (stall === undefined) return;
    const { runId, threadId, graph } = this.#options.run;
    events.emit("run.stalled", { threadId, runId, graph, ...stall });
  }

  /** Leaves the run to others once its superstep is over. */
  drain(): void {
    this.#control.requestDrain("drain");
  }

  /** Leaves it to others at once. */
  breakOff(): void {
    this.#broken.abort(new Error("The worker is shut down."));
  }

  /**
   * Runs it.
   * @returns how it ended
   * @throws {LeaseLostError} another worker has it
   * @throws {DatabaseUnavailableError} the database is gone
   */
  async work(): Promise<AttemptEnd> {
    const { saver, lease, asked, duration } = this.#options;
    const { clock, leases } = saver.steps;
    if (leases === undefined) throw new Error("The saver has no leases.");
    const held = keepLease(leases, clock, lease, asked, duration);
    const overdue = this.#atDeadline();
    const { stream } = this.#options;
    const signal = anySignal(held.signal, this.#broken.signal, overdue.signal, stream?.signal);
    try {
      const run = this.#prepare(held, signal as AbortSignal);
      const end = await this.#underBudget(() => this.#go(run, overdue.signal));
      held.signal.throwIfAborted();
      // Before it is stored that the run has ended: who reads its stream reads no further then.
      await stream?.end();
      return end;
    } catch (error) {
      held.signal.throwIfAborted();
      stream?.signal.throwIfAborted();
      throw error;
    } finally {
      stream?.abandon();
      overdue.end();
      // The row of the run gives it back, in the same transaction as it says how the run goes on.
      held.leave();
    }
  }

  #prepare(held: HeldLease, signal: AbortSignal): Run {
    const { hosted, saver, run } = this.#options;
    const { threadId, runId, details } = run;
    return {
      graph: withSaver(hosted.graph, saver),
      saver,
      steps: saver.steps,
      clock: saver.steps.clock,
      threadId,
      config: {
        configurable: {
          ...details.configurable,
          thread_id: threadId,
          ...configurableOf(held),
          [PARK_AFTER_KEY]: PARK_AFTER,
          ...(hasOwnDeadline(run) ? {} : { [DEADLINE_KEY]: run.deadlineAt }),
        },
        metadata: { graph_id: run.graph, ...details.metadata, run_id: runId },
        ...(details.stepLimit === undefined ? {} : { recursionLimit: details.stepLimit }),
        signal,
        control: this.#control,
        ...this.#options.stream?.config,
      } as RunnableConfig,
      options: {
        park: true,
        ...(details.compensate === undefined ? {} : { compensate: details.compensate }),
        ...this.#listening(),
      },
    };
  }

  #listening(): Run["options"] {
    const { stream, onTasks } = this.#options;
    const kept = stream?.modes ?? [];
    const modes = onTasks === undefined ? kept : [...new Set([...kept, TASKS])];
    return {
      onChunk: (chunk) => {
        this.#silence.heard();
        const mode = (chunk as readonly unknown[])[1];
        if (mode === TASKS) onTasks?.(chunk);
        if (kept.includes(mode as string)) stream?.take(chunk);
      },
      ...(modes.length > 0 && { streamMode: modes }),
      ...(stream && { onCall: (level) => stream.restart(level) }),
    };
  }

  #underBudget<T>(work: () => Promise<T>): Promise<T> {
    const { threadId, runId, details } = this.#options.run;
    if (details.budget === undefined) return work();
    const policy = { ...details.budget, per: "run" as const };
    const limits = resolveBudget("budget", policy);
    const scope = scopeOf({ policy, limits }, accountOf(policy, { threadId, runId }));
    return withBudget(scope, work);
  }

  async #go(run: Run, overdue: AbortSignal): Promise<AttemptEnd> {
    if (this.#stop !== undefined) return this.#stopped(run, this.#stop);
    const outcome = await this.#drive(run, overdue).catch((error: unknown) => {
      if (isHoldfastError(error, "GRAPH_CHANGED")) return error;
      throw error;
    });
    if (outcome instanceof Error) return this.#refused(run, outcome);
    if (outcome.status !== "stopped") return this.#ended(run, outcome);
    if (this.#stop !== undefined) return this.#stopped(run, this.#stop);
    if (overdue.aborted) return this.#ended(run, await this.#failed(run, overdue.reason as Error));
    return { ending: { status: "queued", startAt: run.clock.now() }, end: undefined };
  }

  async #drive(run: Run, overdue: AbortSignal): Promise<RunOutcome> {
    const { run: accepted, saver, isEmpty } = this.#options;
    const { threadId, reason } = accepted;
    // Nobody took it before: there is nothing to look for.
    const hasBegun = accepted.attempt > 1 && !isEmpty && (await this.#hasBegun());
    const at = { leased: run.config };
    const level = isEmpty ? undefined : await readLevel(run.graph, saver, threadId, at);
    if (overdue.aborted) return this.#failed(run, overdue.reason as Error);
    // Invariant A1.
    if (!hasBegun || level === undefined) return this.#begin(run, level);
    const unfinished = await unfinishedFailure(run);
    if (unfinished !== undefined) return takeBack(run, unfinished);
    if (await isTakenBack(run)) {
      // What its finished nodes did is not there any more: once more from the beginning, if asked.
      if (reason === RETRIED) return this.#begin(run, level);
      const failure = await failureOnRecord(run);
      return takeBack(run, failure ?? new Error("What the run did was undone."));
    }
    const adapted = await this.#adapt(run, level);
    if (isFinished(adapted)) return finish(run, { status: "completed" }, { level: adapted });
    this.#noteRunning(run);
    return goOn(run, adapted, { answers: answersFor(accepted.attempt, adapted) });
  }

  async #begin(run: Run, level: Level | undefined): Promise<RunOutcome> {
    await this.#adopt();
    this.#noteRunning(run);
    return begin(run, timed(this.#options.run, run), level);
  }

  /** Invariant A5. */
  async #adapt(run: Run, level: Level): Promise<Level> {
    const { hosted, saver, run: accepted } = this.#options;
    const { threadId, runId, fingerprint: from = hosted.fingerprint } = accepted;
    if (from === hosted.fingerprint) return level;
    const { config, graph } = run;
    const at = await adaptRun(
      { threadId, runId, from, config },
      { ...hosted, graph },
      saver,
      level,
    );
    await this.#adopt();
    return at;
  }

  async #adopt(): Promise<void> {
    const { hosted, saver, run, lease } = this.#options;
    const { fingerprint } = hosted;
    if (run.fingerprint === fingerprint) return;
    const adopted = await saver.steps.queue?.turn(
      run.threadId,
      (turn) => adopt(turn, run.runId, lease.token, fingerprint),
      { runId: run.runId },
    );
    if (adopted === undefined) throw new LeaseLostError(run.threadId, lease.token);
  }

  #noteRunning({ steps, threadId }: Run): void {
    const { graph } = this.#options.run;
    steps?.status.note(threadId, {
      ...{ status: "running", workflowName: graph, errorMessage: undefined },
    });
  }

  /** Past its deadline a run is still taken back, and that is not to be broken off. */
  async #failed(run: Run, error: Error): Promise<RunOutcome> {
    const unbroken = this.#unbroken(run);
    return (await this.#hasBegun()) ? takeBack(unbroken, error) : failEmpty(unbroken, error);
  }

  /** Invariant A4: whether anything of this run is stored. */
  async #hasBegun(): Promise<boolean> {
    const { run, saver } = this.#options;
    return (await saver.steps.queue?.hasBegun(run.threadId, run.runId)) === true;
  }

  #unbroken(run: Run): Run {
    const { signal: _broken, ...config } = run.config;
    return { ...run, config };
  }

  async #stopped(run: Run, request: StopRequest): Promise<AttemptEnd> {
    const { saver, run: accepted } = this.#options;
    const { runId, threadId } = accepted;
    const reason = this.#stopReason ?? STOPPED[request];
    const unbroken = this.#unbroken(run);
    const { undone, stuck } =
      request === "interrupt"
        ? { undone: [], stuck: [] }
        : await this.#undo(unbroken, new Error(reason));
    const checkpointId = await headOf(unbroken);
    if (request === "rollback") await forgetRun(saver, runId);
    unbroken.steps?.status.note(threadId, { status: "cancelled", errorMessage: reason });
    await unbroken.steps?.status.flush();
    const end: RunEnd = { checkpointId, error: undefined, undone, stuck };
    return { ending: { status: "cancelled", reason }, end };
  }

  async #undo(run: Run, error: Error): Promise<{ undone: string[]; stuck: string[] }> {
    if (!(await this.#hasBegun())) return { undone: [], stuck: [] };
    const outcome = await takeBack(run, error);
    return outcome.status === "failed" ? outcome : { undone: [], stuck: [] };
  }

  async #ended(run: Run, outcome: RunOutcome): Promise<AttemptEnd> {
    const { checkpointId } = outcome;
    switch (outcome.status) {
      case "completed":
        return {
          ending: { status: "completed", reason: undefined },
          end: { checkpointId, error: undefined, undone: [], stuck: [] },
          values: outcome.values,
        };
      case "failed": {
        const { error, undone, stuck } = outcome;
        const { name, message } = error;
        return {
          ending: { status: "failed", reason: message },
          end: { checkpointId, error: { name, message }, undone, stuck },
        };
      }
      case "parked":
        return {
          ending: {
            status: "parked",
            startAt: this.#resumeAt(outcome.resumeAt),
            reason: outcome.reason,
          },
          end: undefined,
        };
      case "interrupted":
        return {
          ending: {
            status: "interrupted",
            startAt: await this.#nextDeadline(run),
            reason: waitsFor(outcome),
          },
          end: undefined,
        };
      case "stopped":
        return { ending: { status: "queued", startAt: run.clock.now() }, end: undefined };
    }
  }

  /** It waits for a person, who deploys what it needs and resumes it, or cancels it. */
  async #refused({ steps, threadId }: Run, { message }: Error): Promise<AttemptEnd> {
    steps?.status.note(threadId, { status: "interrupted", errorMessage: message });
    await steps?.status.flush();
    return { ending: { status: "interrupted", reason: message }, end: undefined };
  }

  /** Undefined where no time ends the wait. At its deadline a run is ended, whatever it waits for. */
  #resumeAt(resumeAt: number): number | undefined {
    const at = Math.min(resumeAt, this.#options.run.deadlineAt ?? NEVER);
    return at === NEVER ? undefined : at;
  }

  /** When a question's time is up, and what its author said is then to be done. */
  async #nextDeadline({ steps, threadId }: Run): Promise<number | undefined> {
    const open = (await steps?.approvals?.list({ threadId, status: "pending" })) ?? [];
    const deadlines = open.flatMap(({ deadlineAt }) => deadlineAt ?? []);
    return deadlines.length === 0 ? undefined : Math.min(...deadlines);
  }

  /** A signal that aborts at the run's deadline. */
  #atDeadline(): { signal: AbortSignal; end(): void } {
    const { run, saver } = this.#options;
    const { clock } = saver.steps;
    const reached = new AbortController();
    const ended = new AbortController();
    const { deadlineAt } = run;
    const expire = (at: number): void => {
      reached.abort(new DeadlineExceededError(at, "The run"));
    };
    if (deadlineAt !== undefined) {
      const left = deadlineAt - clock.now();
      if (left <= 0) expire(deadlineAt);
      else {
        clock.sleep(left, ended.signal).then(
          () => expire(deadlineAt),
          () => undefined,
        );
      }
    }
    return { signal: reached.signal, end: () => ended.abort(new Error("ended")) };
  }
}

/** Its input says by when it must be over. */
function hasOwnDeadline({ details }: StoredRun): boolean {
  return durableFieldsOf(details.input)?.deadlineAt !== undefined;
}

/** The input, with the run's deadline where the state has a place for it. */
function timed(accepted: StoredRun, { graph, clock }: Run): unknown {
  const { deadlineAt, details } = accepted;
  const { input } = details;
  const { channels = {} } = graph as { channels?: object };
  const hasFields = Object.keys(durableState).every((name) => name in channels);
  const isPlain = Object.getPrototypeOf(input ?? 0) === Object.prototype;
  if (deadlineAt === undefined || !hasFields || !isPlain || hasOwnDeadline(accepted)) return input;
  const fields = { startedAt: clock.now(), deadlineAt, deadlineIncludesWaits: false };
  return { ...(input as object), ...fields };
}

/** The reason of a run that a person sent on its way again. */
export const RETRIED = "retried";

const STOPPED: Record<StopRequest, string> = {
  cancel: "cancelled",
  interrupt: "interrupted",
  rollback: "rolled back",
};

function waitsFor({ gates, questions }: { gates: unknown[]; questions: unknown[] }): string {
  const parts = [
    ...(gates.length === 0 ? [] : ["an approval at a gate"]),
    ...(questions.length === 0 ? [] : [questions.length === 1 ? "an answer" : "answers"]),
  ];
  return `waits for ${parts.join(" and ")}`;
}

async function headOf({ saver, threadId }: Run): Promise<string | undefined> {
  const config = { configurable: { thread_id: threadId, checkpoint_ns: "" } };
  return (await saver.getTuple(config))?.checkpoint.id;
}

async function forgetRun(saver: DurableSaver, runId: string): Promise<void> {
  const { deleteForRuns } = saver as { deleteForRuns?: (ids: string[]) => Promise<unknown> };
  await deleteForRuns?.call(saver, [runId]);
}
