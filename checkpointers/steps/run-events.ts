/** What runs stream, over a database's rows: sealed like all that is the user's. */

import { LeaseLostError } from "../../src/errors.ts";
import { keyOf } from "../../src/ids.ts";
import type {
  EventPlace,
  EventWriter,
  NewRunEvent,
  RunEventStore,
  StoredRunEvent,
  Sweep,
} from "../../src/run-event-store.ts";
import { parseCell } from "../encoding/cells.ts";
import { Decoder } from "../encoding/decode.ts";
import { encode } from "../encoding/encode.ts";
import { stringify, type Node } from "../encoding/tree.ts";
import type { StepParts } from "./parts.ts";
import type { RunEventRows } from "./run-events-rows.ts";

/** Runs that one sweep looks at, and events that it removes. */
const SWEPT_RUNS = 500;
const SWEPT_EVENTS = 1_000;

export class RunEvents implements RunEventStore {
  readonly #parts: StepParts;

  constructor(parts: StepParts) {
    this.#parts = parts;
  }

  serialize(value: unknown, what: string): string {
    const { types } = this.#parts;
    return stringify(
      encode(value, undefined, { channel: what, payloads: undefined, types }),
      new Set(),
    );
  }

  async append(writer: EventWriter, events: readonly NewRunEvent[]): Promise<void> {
    if (events.length === 0) return;
    const { threadId, seq, attempt, leaseToken } = writer;
    const { cells } = this.#parts;
    const rows = await this.#rows();
    const sealed = await Promise.all(
      events.map(async ({ n, event, path, data }) => ({
        ...{ attempt, n, event },
        path: path === undefined ? null : JSON.stringify(path),
        data: await cells.seal(data),
      })),
    );
    const fence = { thread: keyOf(threadId), token: leaseToken, run: seq, attempt };
    if (!(await rows.append(fence, sealed))) throw new LeaseLostError(threadId, leaseToken);
  }

  async read(seq: number, after: EventPlace, limit: number): Promise<StoredRunEvent[]> {
    const { cells, types } = this.#parts;
    const found = await (await this.#rows()).read(seq, after, limit);
    return Promise.all(
      found.map(async ({ attempt, n, event, path, data, createdAt }) => ({
        ...{ attempt, n, event, at: createdAt },
        path: pathOf(path),
        data: new Decoder(types).decode(
          parseCell(await cells.open(data), "event of a run") as Node,
        ),
      })),
    );
  }

  async paths(seq: number): Promise<(readonly string[])[]> {
    return (await (await this.#rows()).paths(seq)).flatMap((path) => [pathOf(path) ?? []]);
  }

  async sweep(endedBefore: number, from = 0): Promise<Sweep> {
    const rows = await this.#rows();
    const runs = await rows.runs(from, endedBefore, SWEPT_RUNS);
    const over = runs.filter(({ isOver }) => isOver).map(({ run }) => run);
    const removed = over.length === 0 ? 0 : await rows.remove(over, endedBefore, SWEPT_EVENTS);
    if (removed === SWEPT_EVENTS) return { removed, next: from };
    const last = runs.length < SWEPT_RUNS ? undefined : runs.at(-1);
    return { removed, next: last && last.run + 1 };
  }

  async #rows(): Promise<RunEventRows> {
    await this.#parts.ready();
    return this.#parts.dialect.runEvents;
  }
}

function pathOf(path: string | null): readonly string[] | undefined {
  return path === null ? undefined : (JSON.parse(path) as string[]);
}
