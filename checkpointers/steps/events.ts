/** Events over a database's rows: payloads are sealed, names and ids are not. */

import { InvalidInputError } from "../../src/errors.ts";
import type { EmittingTask, EventQuery, EventStore, StoredEvent } from "../../src/event-store.ts";
import { keyOf } from "../../src/ids.ts";
import { parseCell } from "../encoding/cells.ts";
import { Decoder } from "../encoding/decode.ts";
import { encode } from "../encoding/encode.ts";
import { stringify, type Node } from "../encoding/tree.ts";
import type { EventRows, FoundEvent } from "./event-rows.ts";
import type { StepParts } from "./parts.ts";
import { fromText, threadIdOf, toText } from "./texts.ts";

const DEFAULT_LIMIT = 100;
const MAX_TEXT = 200;

export class Events implements EventStore {
  readonly #parts: StepParts;
  readonly #listeners = new Set<() => void>();

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

  onLeft(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Events have left by this saver. */
  left(): void {
    for (const listener of this.#listeners) listener();
  }

  async #rows(): Promise<EventRows> {
    await this.#parts.ready();
    return this.#parts.dialect.events;
  }

  async #event(row: FoundEvent): Promise<StoredEvent> {
    const { cells, types } = this.#parts;
    const tree = parseCell(await cells.open(row.data), "payload of an event") as Node;
    return {
      id: fromText(row.id),
      name: fromText(row.name),
      payload: new Decoder(types).decode(tree),
      at: row.createdAt,
      threadId:
        row.thread === null ? undefined : await threadIdOf(cells, row.thread, row.threadName),
      runId: row.runId === null ? undefined : fromText(row.runId),
    };
  }
}

function checkText(what: "id" | "name", text: string): string {
  if (typeof text === "string" && text !== "" && text.length <= MAX_TEXT) return text;
  throw new InvalidInputError(
    `The ${what} of an event is a text of 1 to ${MAX_TEXT} characters, not ${JSON.stringify(text)?.slice(0, MAX_TEXT)}.`,
  );
}
