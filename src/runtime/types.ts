/** What a runtime takes and gives. */

import type {
  MultitaskStrategy,
  RunBudget,
  RunEnd,
  RunRecord,
  WorkflowState,
} from "../run-store.ts";
import type { GraphChangePolicy } from "../run/graph-change.ts";
import type { Missed, ScheduleRecord } from "../schedule-store.ts";
import type { Engine } from "../engine/engine.ts";
import type { WorkerOptions } from "../worker/worker.ts";
import type { StreamMode } from "./stream.ts";

export interface RuntimeOptions {
  /** A saver of `holdfast/sqlite` or `holdfast/postgres`: the database that all processes share. */
  saver: object;
  /** Compiled graphs, by the names under which runs are accepted; with options where they need some. */
  graphs: Record<string, object | GraphOptions>;
  /** What becomes of runs that were begun under another version of their graph. Default "continue". */
  onGraphChange?: GraphChangePolicy;
  /** Who tells workers that there is something to do. Default: a local one. */
  engine?: Engine;
  /**
   * The worker of this process, which begins with the first `start()`; false for a process that only
   * accepts runs and asks about them.
   */
  worker?: WorkerOptions | false;
  /** What of a run is kept as it streams, for `stream()`, where its `start()` says nothing. Default: none. */
  streamMode?: StreamMode | readonly StreamMode[];
  /**
   * How long emitted events are kept, in milliseconds; Infinity for ever. Events that a listener has yet to
   * hand out stay longer. Default 7 days.
   */
  keepEmitted?: number;
  /** How long that is kept after the run has ended, in milliseconds; `Infinity` for ever. Default: 24 hours. */
  keepEvents?: number;
}

/** A graph that says more of itself. */
export interface GraphOptions {
  graph: object;
  /**
   * Names this version of its code: a graph with another name, or with other nodes, edges or channels, is
   * another version. Default: nodes, edges and channels alone.
   */
  version?: string;
  /** Default: the runtime's. */
  onChange?: GraphChangePolicy;
}

export interface StartOptions {
  /** Default: a new thread, with the id of the run. */
  threadId?: string;
  /** The same id twice is the same run. At most 200 characters. Default: a new one. */
  runId?: string;
  /**
   * How long the run may take, from now on, in milliseconds, without the time that it waits for people; past
   * it, it fails and is taken back. Durable nodes whose state has the fields of `durableState` see it, too.
   */
  deadline?: number;
  /** What all models, tools and durable nodes of the run may cost together. */
  budget?: RunBudget;
  /** Where a run is active on the thread. Default "enqueue". */
  multitaskStrategy?: MultitaskStrategy;
  /** Greater goes first. Default 0. */
  priority?: number;
  /** Not before that instant. */
  startAt?: Date | number;
  /** The most supersteps of one invocation. Default: LangGraph's. */
  stepLimit?: number;
  /** Kept with every checkpoint of the run. */
  metadata?: Record<string, unknown>;
  /** Plain data for its nodes, as `config.configurable`; it is stored with the run. */
  configurable?: Record<string, unknown>;
  /** Takes back what the run did when it fails for good or is cancelled. Default true. */
  compensate?: boolean;
  /**
   * Who starts it also works on it, as `holdfast run` does: `holdfast resume` then goes on with it by itself,
   * and does not leave that to workers (which may take it all the same). Default false.
   */
  attended?: boolean;
  /** What of the run is kept as it streams, for `stream()`; [] for nothing. Default: the runtime's. */
  streamMode?: StreamMode | readonly StreamMode[];
}

/** How the runs of a schedule are started; the instant is its own to say, and so is the run's id. */
export interface ScheduleOptions extends Omit<StartOptions, "runId" | "startAt" | "attended"> {
  /** An IANA time zone. Default "UTC", wherever the process runs. */
  zone?: string;
  /**
   * What becomes of instants at which no worker was there: leave them out ("skip"), fire the latest one
   * for all of them ("once", the default), or fire each ("all"). Missed is what is late by more than a minute.
   */
  missed?: Missed;
}

/** A schedule as it stands. `nextAt` is past where no worker has come to fire it yet. */
export type ScheduleInfo = Omit<ScheduleRecord, "revision">;

/** A run as it stands. */
export interface RunInfo extends Omit<RunRecord, "seq" | "stop"> {
  /** It was asked to end, and has not yet. */
  stopping: boolean;
}

export interface RunResult<Values = Record<string, unknown>> extends Omit<
  RunEnd,
  "error" | "checkpointId"
> {
  runId: string;
  threadId: string;
  /** Ended, or waiting for a person. */
  status: Extract<WorkflowState, "completed" | "failed" | "cancelled" | "dead" | "interrupted">;
  /** The state that it ended with. */
  values: Values;
  error: { name: string; message: string } | undefined;
  reason: string | undefined;
}
