/** What is heard of threads, over a database's rows. */

import { keyOf } from "../../src/ids.ts";
import type { Overdue, Pulse, PulseStore } from "../../src/pulse-store.ts";
import type { StepParts } from "./parts.ts";
import type { PulseRow, PulseRows } from "./pulse-rows.ts";
import { recordOf } from "./run-queue.ts";
import type { Status } from "./status.ts";
import { fromText, threadIdOf } from "./texts.ts";

const DEFAULT_LIMIT = 10_000;

export class Pulses implements PulseStore {
  readonly #parts: StepParts;
  readonly #status: Status;

  /** @param status whose notes are stored before anybody looks */
  constructor(parts: StepParts, status: Status) {
    this.#parts = parts;
    this.#status = status;
  }

  async atWork(query: Parameters<PulseStore["atWork"]>[0] = {}): Promise<Pulse[]> {
    const { threadId, heardBefore, leaseEndedBefore, limit = DEFAULT_LIMIT } = query;
    const found = await (
      await this.#rows()
    ).atWork({
      thread: threadId === undefined ? null : keyOf(threadId),
      heardBefore: heardBefore ?? null,
      leaseEndedBefore: leaseEndedBefore ?? null,
      limit,
    });
    return Promise.all(found.map((row) => this.#pulse(row)));
  }

  async overdue({
    before,
    threadId,
    limit = DEFAULT_LIMIT,
  }: Parameters<PulseStore["overdue"]>[0]): Promise<Overdue[]> {
    const thread = threadId === undefined ? null : keyOf(threadId);
    const found = await (await this.#rows()).overdue({ thread, before, limit });
    return Promise.all(
      found.map(async ({ run, since }) => ({
        run: recordOf(run, await threadIdOf(this.#parts.cells, run.thread, run.threadName)),
        since,
      })),
    );
  }

  async #rows(): Promise<PulseRows> {
    await this.#status.flush();
    await this.#parts.ready();
    return this.#parts.dialect.pulses;
  }

  async #pulse(row: PulseRow): Promise<Pulse> {
    const { thread, threadName, runId, graph, step, leaseOwner, leaseExpiresAt } = row;
    return {
      threadId:
        threadName === null && row.threadId !== null
          ? fromText(row.threadId)
          : await threadIdOf(this.#parts.cells, thread, threadName),
      runId: runId === null ? undefined : fromText(runId),
      graph: graph === null ? undefined : fromText(graph),
      status: row.status as Pulse["status"],
      step: step === null ? undefined : fromText(step),
      heardAt: row.heardAt,
      lease:
        leaseOwner === null || leaseExpiresAt === null
          ? undefined
          : { owner: leaseOwner, expiresAt: leaseExpiresAt },
    };
  }
}
