/** The stream of a run, for whoever reads it: what is stored, then what comes, until the run is over. */

import type { BaseMessage } from "@langchain/core/messages";
import { InvalidInputError, NotFoundError } from "../errors.ts";
import type { Bell } from "../engine/bell.ts";
import type { EventPlace, RunEventStore, StoredRunEvent } from "../run-event-store.ts";
import type { RunQueue, RunRecord, WorkflowState } from "../run-store.ts";
import { isSettled } from "../turns.ts";

/** LangGraph's stream modes, as far as a run's are kept. For `checkpoints` there is `history()`. */
export const STREAM_MODES = ["values", "updates", "messages", "custom", "tasks", "tools"] as const;
export type StreamMode = (typeof STREAM_MODES)[number];

/** What does not count any more of what came before, as it is done again. */
export interface Voids {
  /** Ids of tasks: all chunks that came with one of them as `taskId`. */
  tasks: string[];
  /** Ids of messages: all their pieces. */
  messages: string[];
}

/** What is told beside LangGraph's chunks, by name. */
export interface StreamNotes {
  /** A worker has taken the run. */
  "run.started": { graph: string; attempt: number };
  /** An attempt of a durable node failed, or of a call of a durable model. */
  "attempt.failed": {
    node?: string | undefined;
    taskId?: string | undefined;
    attempt: number;
    maxAttempts: number;
    kind: string;
    error: { name: string; message: string };
    /** Undefined where it was the last. */
    nextAttemptAt?: number | undefined;
    voids: Voids;
  };
  /** Tasks run again, from their beginning: after a wait, an answer, or the death of a worker. */
  "tasks.restarted": { voids: Voids };
  /** LangGraph streamed what cannot be stored. */
  "chunk.refused": { mode: string; error: { name: string; message: string } };
  /** Events were removed that had not been read. */
  "events.gone": { after: string };
  /** The last one: the run waits for a person. */
  "run.waits": { status: WorkflowState; reason: string | undefined };
  /** The last one. */
  "run.ended": { status: WorkflowState; reason: string | undefined };
}

/** By mode, as LangGraph streams it. */
interface ChunkData extends Record<StreamMode, unknown> {
  messages: [message: BaseMessage, metadata: Record<string, unknown>];
}

export type StreamChunk = {
  [Mode in StreamMode]: { event: Mode; data: ChunkData[Mode] };
}[StreamMode] & {
  /** Of the graph that it is of, as LangGraph has it with `subgraphs: true`. */
  namespace: string[];
  /** The task that it is of: for messages, and what durable and other nodes write to the stream. */
  taskId: string | undefined;
};

type StreamNote = {
  [Name in keyof StreamNotes]: { event: Name; data: StreamNotes[Name] };
}[keyof StreamNotes];

export type StreamEvent = (StreamChunk | StreamNote) & {
  /** Where it stands: `stream(runId, { after: id })` goes on behind it. */
  id: string;
  /** Of the run, by a worker. */
  attempt: number;
  /** When it was stored, or found out, in milliseconds since the epoch. */
  at: number;
};

export interface StreamOptions {
  /** Only chunks of these modes, of those that the run keeps. Default: all of them. */
  mode?: StreamMode | readonly StreamMode[];
  /** Goes on behind the event with this id. Default: from the beginning. */
  after?: string;
  signal?: AbortSignal;
}

/** What the reader of a stream needs of its runtime. */
export interface StreamSource {
  queue: RunQueue;
  events: RunEventStore;
  bell: Bell;
}

/** How often events of another process are looked for, in milliseconds. */
const LOOK_AGAIN = 200;
const PAGE = 500;

/** By what the bell rings for the stream of a run. */
export const streamBell = (runId: string): string => `stream of ${runId}`;

/** @throws {InvalidInputError} something else than modes that are kept */
export function checkedModes(
  mode: StreamMode | readonly StreamMode[] | undefined,
): readonly StreamMode[] {
  const modes = typeof mode === "string" ? [mode] : (mode ?? []);
  const known: readonly string[] = STREAM_MODES;
  const odd = modes.find((each) => !known.includes(each));
  if (odd === undefined) return [...new Set(modes)];
  throw new InvalidInputError(
    `A run's stream mode is one of ${known.join(", ")}, not ${JSON.stringify(odd)}.`,
  );
}

/** Where a reader is: behind an event, and perhaps behind what was told of the run's status there. */
interface Position extends EventPlace {
  status: string | undefined;
}

export async function* streamOf(
  { queue, events, bell }: StreamSource,
  runId: string,
  { mode, after, signal }: StreamOptions,
): AsyncGenerator<StreamEvent> {
  let at = positionOf(after);
  const run = await queue.read(runId);
  if (run === undefined) throw new NotFoundError(`There is no run "${runId}".`);
  const kept = run.details.streamMode ?? [];
  const wanted = mode === undefined ? undefined : checkedModes(mode);
  mustBeKept(runId, wanted, kept);
  const isWanted = ({ event }: StoredRunEvent): boolean =>
    wanted === undefined || event.includes(".") || (wanted as readonly string[]).includes(event);
  for (;;) {
    const heard = bell.listen([runId, streamBell(runId)]);
    try {
      // The row first: all that is stored of an attempt is there before the row tells that it ended.
      const [now] = await queue.list({ runId });
      if (now === undefined) throw new NotFoundError(`Run "${runId}" is gone.`);
      // Somebody has sent the run on its way since: the row tells of an attempt before what was told.
      let isBehind = false;
      for (let page: StoredRunEvent[] = []; ;) {
        page = await events.read(now.seq, at, PAGE);
        for (const found of page) {
          if (!follows(found, at)) yield gone(at, found);
          at = { attempt: found.attempt, n: found.n, status: undefined };
          isBehind ||= found.attempt > now.attempt;
          if (isWanted(found)) yield told(found);
        }
        if (page.length < PAGE) break;
      }
      if (kept.length === 0 && now.status === "running" && at.attempt < now.attempt) {
        at = { attempt: now.attempt, n: 0, status: "running" };
        yield started(now, at);
      }
      if (isSettled(now) && !isBehind) {
        const isTold = at.status === now.status && at.attempt === now.attempt;
        if (!isTold) yield last(now, { ...at, attempt: now.attempt, n: nOf(at, now) });
        return;
      }
      await heard.within(LOOK_AGAIN, signal);
    } finally {
      heard.end();
    }
  }
}

function mustBeKept(
  runId: string,
  wanted: readonly string[] | undefined,
  kept: readonly string[],
): void {
  const missing = wanted?.find((mode) => !kept.includes(mode));
  if (missing === undefined) return;
  throw new InvalidInputError(
    `Run "${runId}" keeps ${kept.length === 0 ? "nothing of its stream" : `"${kept.join('", "')}"`}, ` +
      `and not "${missing}". What is kept is said when it is started: ` +
      `start(graph, input, { streamMode: ["${missing}"] }), or createRuntime({ streamMode }) for all runs.`,
  );
}

function follows({ attempt, n }: EventPlace, at: EventPlace): boolean {
  return attempt === at.attempt ? n === at.n + 1 : n === 1;
}

function nOf(at: EventPlace, { attempt }: RunRecord): number {
  return at.attempt === attempt ? at.n : 0;
}

function told({ attempt, n, event, path, data, at }: StoredRunEvent): StreamEvent {
  const said = data as { data: never; namespace?: string[] };
  const base = { id: idOf({ attempt, n, status: undefined }), event, data: said.data, attempt, at };
  if (event.includes(".")) return base as StreamEvent;
  const { namespace = [] } = said;
  return { ...base, namespace, taskId: path?.at(-1) } as StreamEvent;
}

function started({ graph, attempt, startedAt }: RunRecord, at: Position): StreamEvent {
  const data = { graph, attempt };
  return { id: idOf(at), event: "run.started", data, attempt, at: startedAt ?? 0 };
}

function gone(at: Position, { attempt, at: instant }: StoredRunEvent): StreamEvent {
  const after = idOf(at);
  return { id: after, event: "events.gone", data: { after }, attempt, at: instant };
}

function last(run: RunRecord, at: Position): StreamEvent {
  const { attempt, status, reason, endedAt, startedAt, enqueuedAt } = run;
  return {
    id: idOf({ ...at, status }),
    event: status === "interrupted" ? "run.waits" : "run.ended",
    data: { status, reason },
    attempt,
    at: endedAt ?? startedAt ?? enqueuedAt,
  };
}

const ID = /^(\d{1,9})\.(\d{1,9})(?:\.([a-z]+))?$/;

function idOf({ attempt, n, status }: Position): string {
  return [attempt, n, ...(status === undefined ? [] : [status])].join(".");
}

/** @throws {InvalidInputError} it is no event's id */
function positionOf(id: string | undefined): Position {
  if (id === undefined) return { attempt: 0, n: 0, status: undefined };
  const [, attempt, n, status] = ID.exec(id) ?? [];
  if (attempt === undefined) {
    throw new InvalidInputError(
      `A stream goes on after the id of one of its events, such as "1.42", and not after ${JSON.stringify(id)}.`,
    );
  }
  return { attempt: Number(attempt), n: Number(n), status };
}
