/** Events over a database's rows: payloads are sealed, names and ids are not. */

import { InvalidInputError, isHoldfastError } from "../../src/errors.ts";
import type {
  EmittingTask,
  EventQuery,
  EventStore,
  EventWait,
  ListenerRecord,
  NewWait,
  PlacedEvent,
  StoredEvent,
} from "../../src/event-store.ts";
import { keyOf } from "../../src/ids.ts";
import { parseCell, type Cell } from "../encoding/cells.ts";
import { Decoder } from "../encoding/decode.ts";
import { encode } from "../encoding/encode.ts";
import { stringify, type Node } from "../encoding/tree.ts";
import type { EventWaitRows, WaitRow } from "./event-wait-rows.ts";
import type { EventRows, FoundEvent } from "./event-rows.ts";
import type { StepParts } from "./parts.ts";
import { fromText, threadIdOf, toText } from "./texts.ts";

const DEFAULT_LIMIT = 100;
const MAX_TEXT = 200;
/** Of candidates, looked through in memory. */
const PAGE = 100;

export class Events implements EventStore {
  readonly #parts: StepParts;
  readonly #listeners = new Set<(isRunEnd: boolean) => void>();

  constructor(parts: StepParts) {
    this.#parts = parts;
  }

  serialize(name: string, payload: unknown, node?: string): string {
    checkText("name", name);
    const tree = encode(payload, undefined, {
      channel: `payload of event "${name}"`,
      node,
      payloads: undefined,
      types: this.#parts.types,
    });
    return stringify(tree, new Set());
  }

  async isKept({ threadId, namespace, checkpointId, taskId }: EmittingTask): Promise<boolean> {
    const { seen, dialect, settled } = this.#parts;
    if (seen.isUntried({ threadId, namespace, checkpointId, taskId })) return true;
    await settled(threadId);
    const found = await dialect.readCheckpoint(
      keyOf(threadId),
      keyOf(namespace),
      keyOf(checkpointId),
    );
    return found !== undefined;
  }

  async add({
    id,
    name,
    payload,
  }: {
    id: string;
    name: string;
    payload: string;
  }): Promise<boolean> {
    const rows = await this.#rows();
    const isNew = await rows.insert({
      id: toText(checkText("id", id)),
      name: toText(checkText("name", name)),
      thread: null,
      runId: null,
      data: await this.#parts.cells.seal(payload),
    });
    if (isNew) this.left();
    return isNew;
  }

  async list({ name, since, limit = DEFAULT_LIMIT }: EventQuery = {}): Promise<StoredEvent[]> {
    const rows = await this.#rows();
    const text = name === undefined ? undefined : toText(name);
    const found = await rows.list({ name: text, since, limit });
    return Promise.all(found.map((row) => this.#event(row)));
  }

  async openWait(wait: NewWait): Promise<EventWait> {
    const { id, threadId, task, name, paths, hash, runId, since, except, timeout } = wait;
    const rows = await this.#waits();
    const found = await rows.read(id);
    if (found !== undefined) return this.#wait(found);
    await rows.insert({
      ...{ id, paths, hash, since },
      thread: keyOf(threadId),
      ns: keyOf(task?.namespace ?? ""),
      checkpoint: keyOf(task?.checkpointId ?? ""),
      task: keyOf(task?.taskId ?? ""),
      name: toText(checkText("name", name)),
      runId: runId === undefined ? null : toText(runId),
      exceptId: except === undefined ? null : toText(except),
      timeout: timeout ?? null,
    });
    return this.#mustRead(id);
  }

  async candidates(waitId: string, after: PlacedEvent | undefined): Promise<PlacedEvent[]> {
    const found = await (await this.#waits()).candidates(waitId, after, PAGE);
    return Promise.all(found.map((row) => this.#event(row)));
  }

  async offer(waitId: string, seq: number): Promise<void> {
    await (await this.#waits()).offer(waitId, seq);
  }

  async looked(waitId: string): Promise<void> {
    await (await this.#waits()).looked(waitId);
  }

  async settle(waitId: string, isTimeUp: boolean): Promise<EventWait> {
    await (await this.#waits()).settle(waitId, isTimeUp);
    return this.#mustRead(waitId);
  }

  async heard(waitIds: readonly string[]): Promise<boolean> {
    return (await (await this.#waits()).countIdle(waitIds)) < new Set(waitIds).size;
  }

  async undelivered(limit: number): Promise<{ seq: number; name: string }[]> {
    const found = await (await this.#rows()).undelivered(limit);
    return found.map(({ seq, name }) => ({ seq, name: fromText(name) }));
  }

  async pathsOf(name: string): Promise<string[]> {
    return (await this.#waits()).pathsOf(toText(name));
  }

  async read(seqs: readonly number[]): Promise<PlacedEvent[]> {
    const found = await (await this.#rows()).read(seqs);
    return Promise.all(found.map((row) => this.#event(row)));
  }

  async give(seq: number, matches: readonly { paths: string; hash: string }[]): Promise<string[]> {
    const { cells } = this.#parts;
    const found = await (await this.#waits()).give(seq, matches);
    const threads = found.map(({ thread, threadName }) => threadIdOf(cells, thread, threadName));
    return [...new Set(await Promise.all(threads))];
  }

  async delivered(seqs: readonly number[]): Promise<void> {
    await (await this.#rows()).delivered(seqs);
  }

  async listen(listener: ListenerRecord): Promise<void> {
    await (await this.#rows()).listen(listenerTexts(listener));
  }

  async touch(listener: ListenerRecord): Promise<void> {
    await (await this.#rows()).touch(listenerTexts(listener));
  }

  async behind(
    { name, event }: Pick<ListenerRecord, "name" | "event">,
    limit: number,
  ): Promise<PlacedEvent[]> {
    const found = await (await this.#rows()).behind(toText(name), toText(event), limit);
    return Promise.all(found.map((row) => this.#event(row)));
  }

  async advance(listener: string, place: string): Promise<void> {
    await (await this.#rows()).advance(toText(listener), place);
  }

  async sweep(options: { before: number; forgotten: number; limit: number }): Promise<boolean> {
    const { before, forgotten, limit } = options;
    return (await (await this.#rows()).sweep(before, forgotten, limit)) >= limit;
  }

  onLeft(listener: (isRunEnd: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Events have left by this saver. */
  left(isRunEnd = false): void {
    for (const listener of this.#listeners) listener(isRunEnd);
  }

  async #rows(): Promise<EventRows> {
    await this.#parts.ready();
    return this.#parts.dialect.events;
  }

  async #waits(): Promise<EventWaitRows> {
    await this.#parts.ready();
    return this.#parts.dialect.eventWaits;
  }

  async #mustRead(waitId: string): Promise<EventWait> {
    const row = await (await this.#waits()).read(waitId);
    if (row !== undefined) return this.#wait(row);
    throw new InvalidInputError("A wait for an event is gone: its thread was deleted meanwhile.");
  }

  async #wait({ id, isOpen, isLooked, deadlineAt, ...row }: WaitRow): Promise<EventWait> {
    const { eventSeq: seq, eventId, eventAt, eventData } = row;
    const event =
      seq === null
        ? undefined
        : {
            ...{ seq, place: "", id: fromText(eventId as string), name: fromText(row.name) },
            ...{ payload: await this.#payload(eventData as Cell), at: eventAt as number },
            ...{ threadId: undefined, runId: undefined },
          };
    return { id, isOpen, isLooked, event, deadlineAt: deadlineAt ?? undefined };
  }

  async #payload(data: Cell): Promise<unknown> {
    const { cells, types } = this.#parts;
    const tree = parseCell(await cells.open(data), "payload of an event") as Node;
    return new Decoder(types).decode(tree);
  }

  async #event(row: FoundEvent): Promise<PlacedEvent> {
    return {
      ...{ seq: row.seq, place: row.place },
      ...{ id: fromText(row.id), name: fromText(row.name), at: row.createdAt },
      runId: row.runId === null ? undefined : fromText(row.runId),
      ...(await this.#sealed(row)),
    };
  }

  /** What a process may be unable to read, of one event as of many: that concerns no other event. */
  async #sealed({
    data,
    thread,
    threadName,
  }: FoundEvent): Promise<Pick<PlacedEvent, "payload" | "threadId" | "unreadable">> {
    try {
      const payload = await this.#payload(data);
      const threadId =
        thread === null ? undefined : await threadIdOf(this.#parts.cells, thread, threadName);
      return { payload, threadId };
    } catch (error) {
      // Of a serde that needs a service: it is there again later.
      if (isHoldfastError(error, "DATABASE_UNAVAILABLE")) throw error;
      const unreadable = error instanceof Error ? error : new Error(String(error));
      return { payload: undefined, threadId: undefined, unreadable };
    }
  }
}

function listenerTexts({ name, event, graph }: ListenerRecord): ListenerRecord {
  return {
    name: toText(checkText("listener", name)),
    event: toText(checkText("name", event)),
    graph: toText(graph),
  };
}

const WHAT = {
  id: "The id of an event",
  name: "The name of an event",
  listener: "The name of a listener",
};

function checkText(what: "id" | "name" | "listener", text: string): string {
  if (typeof text === "string" && text !== "" && text.length <= MAX_TEXT) return text;
  throw new InvalidInputError(
    `${WHAT[what]} is a text of 1 to ${MAX_TEXT} characters, not ${JSON.stringify(text)?.slice(0, MAX_TEXT)}.`,
  );
}
