/** Accepted runs over a database's rows: ids become keys, and what is the user's is sealed. */

import { InvalidInputError } from "../../src/errors.ts";
import { digestOf, keyOf } from "../../src/ids.ts";
import type {
  Decided,
  DueGraph,
  RunDetails,
  RunEnd,
  RunQuery,
  RunQueue,
  RunRecord,
  RunServer,
  StopRequest,
  StoredRun,
  TakenRun,
  Turn,
  TurnChange,
  TurnGuest,
  TurnOptions,
  WorkflowState,
} from "../../src/run-store.ts";
import type { ThreadRow } from "../thread-rows.ts";
import { parseCell, type Cell } from "../encoding/cells.ts";
import { Decoder } from "../encoding/decode.ts";
import { encode } from "../encoding/encode.ts";
import { stringify, type Node } from "../encoding/tree.ts";
import type { EventRow } from "./event-rows.ts";
import type { StepParts } from "./parts.ts";
import { ENDED, WithTurnError, type WithTurn } from "./run-queue-rows.ts";
import type {
  FoundRun,
  FoundThread,
  RunDecision,
  RunQueueRows,
  MadeThread,
  RunRow,
  RunTurn,
  TakenRow,
} from "./run-queue-rows.ts";
import { moveRow } from "./schedules.ts";
import { fromText, threadIdOf, toText } from "./texts.ts";

const DEFAULT_LIMIT = 100;
const MAX_ID = 200;

/** What accepted runs need of the saver's threads. */
export interface RunThreads {
  /** The thread's row, as it is made where there is none. */
  made(threadId: string): Promise<MadeThread>;
  /** A worker has taken it. @param empty its row, where it has no checkpoint */
  taken(threadId: string, token: number, empty: ThreadRow | undefined): void;
  /** A worker has left it. */
  left(threadId: string): void;
}

export class AcceptedRuns implements RunQueue {
  readonly #parts: StepParts;
  readonly #threads: RunThreads;
  readonly #onEnd: () => void;
  readonly #guests = new Set<TurnGuest>();
  readonly server?: RunServer;

  /** @param onEnd runs have ended, and their events have left */
  constructor(parts: StepParts, threads: RunThreads, onEnd: () => void) {
    this.#parts = parts;
    this.#onEnd = onEnd;
    this.#threads = threads;
    const { server } = parts.dialect.runQueue;
    if (server === undefined) return;
    this.server = {
      ...server,
      join: (guest) => {
        this.#guests.add(guest);
        return () => this.#guests.delete(guest);
      },
    };
  }

  async turn<Result>(
    threadId: string,
    decide: (turn: Turn) => Decided<Result>,
    options: TurnOptions = {},
  ): Promise<Result | undefined> {
    return (await this.#turn(threadId, decide, options))?.result;
  }

  async take<Result>(
    threadId: string,
    decide: (turn: Turn) => Decided<Result>,
  ): Promise<{ result: Result; taken: TakenRun | undefined } | undefined> {
    const made = await this.#turn(threadId, decide, { skipBusy: true, takes: true });
    if (made?.taken === undefined) return made && { result: made.result, taken: undefined };
    const { result, token, taken } = made;
    const { empty, details, end } = taken;
    this.#threads.taken(threadId, token, empty);
    return {
      result,
      taken: {
        details: (await this.#open(details, "input")) as RunDetails,
        end: end === null ? undefined : ((await this.#open(end, "outcome")) as RunEnd),
        isEmpty: empty !== undefined,
      },
    };
  }

  async #turn<Result>(
    threadId: string,
    decide: (turn: Turn) => Decided<Result>,
    given: TurnOptions & { takes?: boolean },
  ): Promise<{ result: Result; token: number; taken: TakenRow | undefined } | undefined> {
    const { runId, details, end, skipBusy = false, move, takes = false } = given;
    const rows = await this.#rows();
    const thread = keyOf(threadId);
    const sealed = {
      details: details === undefined ? null : await this.#seal(details, "input"),
      end: end === undefined ? null : await this.#seal(end, "outcome"),
    };
    let result!: Result;
    let token = 0;
    let isLeft = false;
    let change: TurnChange;
    let ends: RunRecord[] = [];
    const seal = await this.#parts.cells.sealer();
    const options = {
      thread,
      runId: runId === undefined ? undefined : toText(checkedId(runId)),
      skipBusy,
      move: move === undefined ? undefined : moveRow(move),
      make: details === undefined ? undefined : await this.#threads.made(threadId),
      takes,
    };
    const take = (turn: RunTurn): RunDecision => {
      const runs = turn.runs.map((row) => recordOf(row, threadId));
      const decided = decide({ ...turn, runs });
      ({ result } = decided);
      isLeft = decided.lease === "released";
      // Of the lease that it takes.
      token = turn.token + 1;
      change = { now: turn.now, runs: afterwards(runs, decided.put ?? []) };
      ends = endsOf(runs, decided.put ?? []);
      const put = (decided.put ?? []).map((run) => ({
        ...rowOf(run, thread),
        details: run.seq === 0 || run.runId === runId ? sealed.details : null,
        end: run.runId === runId ? sealed.end : null,
      }));
      const left = ends.map((run) =>
        endEvent(run, thread, run.runId === runId ? end : undefined, this.#parts.types, seal),
      );
      return { put, events: left, lease: decided.lease };
    };
    const guests = new Set(this.#guests);
    for (const guest of guests) await guest.prepare();
    for (;;) {
      let failing: TurnGuest | undefined;
      const withTurn: WithTurn = async (transaction) => {
        for (const guest of guests) {
          failing = guest;
          await guest.store(change, transaction);
        }
      };
      try {
        const made = await rows.turn(options, take, guests.size === 0 ? undefined : withTurn);
        // What was decided in vain, before a lock that somebody else had, counts no more.
        if (made === undefined) return undefined;
        if (ends.length > 0) this.#onEnd();
        if (isLeft) this.#threads.left(threadId);
        return { result, token, taken: made.taken };
      } catch (error) {
        // A turn is more than what others store with it.
        if (!(error instanceof WithTurnError) || failing === undefined) throw error;
        failing.failed(error.cause);
        guests.delete(failing);
      }
    }
  }

  async due({ graphs, limit }: { graphs: readonly DueGraph[]; limit: number }): Promise<string[]> {
    if (graphs.length === 0) return [];
    const named = graphs.map((graph) => ({ ...graph, name: toText(graph.name) }));
    const found = await (await this.#rows()).due(named, limit);
    return Promise.all(found.map((row) => this.#threadId(row)));
  }

  async working(): Promise<{ threadId: string; owner: string }[]> {
    const found = await (await this.#rows()).working();
    return Promise.all(
      found.map(async (row) => ({ threadId: await this.#threadId(row), owner: row.owner })),
    );
  }

  async nextAt(graphs: readonly string[]): Promise<{ at: number | undefined; now: number }> {
    const { at, now } = await (await this.#rows()).nextAt(graphs.map(toText));
    return { at: at ?? undefined, now };
  }

  async stopping(runIds: readonly string[]): Promise<string[]> {
    if (runIds.length === 0) return [];
    return (await (await this.#rows()).stopping(runIds.map(toText))).map(fromText);
  }

  async settled(runIds: readonly string[]): Promise<string[]> {
    if (runIds.length === 0) return [];
    return (await (await this.#rows()).settled(runIds.map(toText))).map(fromText);
  }

  async hasBegun(threadId: string, runId: string): Promise<boolean> {
    await this.#parts.settled(threadId);
    return (await this.#rows()).hasBegun(keyOf(threadId), keyOf(runId));
  }

  async read(runId: string): Promise<StoredRun | undefined> {
    const row = await (await this.#rows()).read(toText(checkedId(runId)));
    if (row === undefined) return undefined;
    return {
      ...recordOf(row, await this.#threadId(row)),
      details: (await this.#open(row.details, "input")) as RunDetails,
      end: row.end === null ? undefined : ((await this.#open(row.end, "outcome")) as RunEnd),
    };
  }

  async list(query: RunQuery = {}): Promise<RunRecord[]> {
    const { runId, status, graph, threadId, schedule, since, prefix } = query;
    const { limit = DEFAULT_LIMIT } = query;
    const found = await (
      await this.#rows()
    ).list({
      runId: runId === undefined ? undefined : toText(checkedId(runId)),
      status,
      graph: graph === undefined ? undefined : toText(graph),
      thread: threadId === undefined ? undefined : keyOf(threadId),
      schedule: schedule === undefined ? undefined : toText(schedule),
      since,
      prefix: prefix === undefined ? undefined : toText(prefix),
      limit,
    });
    return Promise.all(found.map(async (row) => recordOf(row, await this.#threadId(row))));
  }

  async #rows(): Promise<RunQueueRows> {
    await this.#parts.ready();
    return this.#parts.dialect.runQueue;
  }

  #threadId({ thread, threadName }: FoundThread): Promise<string> {
    return threadIdOf(this.#parts.cells, thread, threadName);
  }

  async #seal(value: object, channel: string): Promise<Cell> {
    const { cells, types } = this.#parts;
    const tree = encode(value, undefined, { channel, payloads: undefined, types });
    return cells.seal(stringify(tree, new Set()));
  }

  async #open(cell: Cell, what: string): Promise<unknown> {
    const { cells, types } = this.#parts;
    const tree = parseCell(await cells.open(cell), `${what} of a run`) as Node;
    return new Decoder(types).decode(tree);
  }
}

/** The runs of a thread that have not ended, once these are stored; new ones are the last. */
function afterwards(runs: readonly RunRecord[], put: readonly RunRecord[]): RunRecord[] {
  const known = new Map(runs.map((run) => [run.runId, run]));
  for (const run of put) known.set(run.runId, run);
  const ended: readonly string[] = ENDED;
  return [...known.values()].filter(({ status }) => !ended.includes(status));
}

function checkedId(runId: string): string {
  if (typeof runId === "string" && runId !== "" && runId.length <= MAX_ID) return runId;
  throw new InvalidInputError(
    `The id of a run is a text of 1 to ${MAX_ID} characters, not ${JSON.stringify(runId)?.slice(0, MAX_ID)}.`,
  );
}

export function recordOf(row: RunRow | FoundRun, threadId: string): RunRecord {
  return {
    runId: fromText(row.runId),
    threadId,
    graph: fromText(row.graph),
    status: row.status as WorkflowState,
    seq: row.seq,
    priority: row.priority,
    startAt: row.startAt ?? undefined,
    deadlineAt: row.deadlineAt ?? undefined,
    enqueuedAt: row.enqueuedAt,
    startedAt: row.startedAt ?? undefined,
    endedAt: row.endedAt ?? undefined,
    attempt: row.attempt,
    crashes: row.crashes,
    stop: (row.stop ?? undefined) as StopRequest | undefined,
    reason: row.reason === null ? undefined : fromText(row.reason),
    fingerprint: row.fingerprint ?? undefined,
    waitingSince: row.waitingSince ?? undefined,
    schedule: row.schedule === null ? undefined : fromText(row.schedule),
  };
}

function rowOf(run: RunRecord, thread: Uint8Array): RunRow {
  return {
    runId: toText(checkedId(run.runId)),
    thread,
    graph: toText(run.graph),
    status: run.status,
    seq: run.seq,
    priority: run.priority,
    startAt: run.startAt ?? null,
    deadlineAt: run.deadlineAt ?? null,
    enqueuedAt: run.enqueuedAt,
    startedAt: run.startedAt ?? null,
    endedAt: run.endedAt ?? null,
    attempt: run.attempt,
    crashes: run.crashes,
    stop: run.stop ?? null,
    reason: run.reason === undefined ? null : toText(run.reason),
    fingerprint: run.fingerprint ?? null,
    waitingSince: run.waitingSince ?? null,
    schedule: run.schedule === undefined ? null : toText(run.schedule),
  };
}

/** Those that a decision ends. */
function endsOf(before: readonly RunRecord[], put: readonly RunRecord[]): RunRecord[] {
  const isEnd = ({ status }: RunRecord): boolean => ENDED.some((ended) => ended === status);
  const over = new Set(before.filter(isEnd).map(({ runId }) => runId));
  return put.filter((run) => isEnd(run) && !over.has(run.runId));
}

/** What a run's end tells who waits for it. */
function endEvent(
  run: RunRecord,
  thread: Uint8Array,
  end: RunEnd | undefined,
  types: StepParts["types"],
  seal: (text: string) => Cell,
): EventRow {
  const { runId, threadId, graph, status, reason, attempt, endedAt } = run;
  const name = `run.${status}`;
  const payload = { runId, threadId, graph, status, reason, error: end?.error };
  const tree = encode(payload, undefined, { channel: name, payloads: undefined, types });
  return {
    id: digestOf("run", runId, String(attempt), String(endedAt)),
    ...{ name, thread, runId: toText(runId) },
    data: seal(stringify(tree, new Set())),
  };
}
