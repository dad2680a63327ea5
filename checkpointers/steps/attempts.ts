/**
 * Attempts of tasks, kept from the first that fails.
 *
 * The happy path asks nothing and writes nothing: of a task of a fresh checkpoint (seen.ts) nobody has
 * recorded attempts. Reads that are needed at the same moment are one query, writes one statement.
 */

import { keyOf } from "../../src/ids.ts";
import type { AttemptStore, AttemptsRecord, TaskAddress } from "../../src/step-store.ts";
import { cellText, parseCell, type Cell } from "../encoding/cells.ts";
import { Gather } from "../gather.ts";
import type { TaskKey } from "./attempts-rows.ts";
import type { StepParts } from "./parts.ts";
import { Soon } from "./soon.ts";

interface Tried {
  task: TaskAddress;
  record: AttemptsRecord | null;
}

export class Attempts implements AttemptStore {
  readonly #parts: StepParts;
  readonly #soon: Soon<Tried>;
  readonly #reads: Gather<TaskKey, Cell | null>;

  constructor(parts: StepParts) {
    this.#parts = parts;
    this.#reads = new Gather((tasks) => parts.dialect.attempts.read(tasks));
    this.#soon = new Soon({
      store: (tried) => this.#store(tried),
      onFailure: (error) =>
        parts.onNotice(
          `holdfast: attempts could not be stored, so a crash would lose count of them: ${String(error)}`,
        ),
    });
  }

  async read(task: TaskAddress): Promise<AttemptsRecord | undefined> {
    const pending = this.#soon.pending(placeOf(task));
    if (pending !== undefined) return structuredClone(pending.record ?? undefined);
    const { seen, cells, ready } = this.#parts;
    if (seen.isUntried(task)) return undefined;
    await ready();
    const cell = await this.#reads.add(keyOfTask(task));
    if (cell === null) return undefined;
    return parseCell(cellText(await cells.open(cell)), "attempts record") as AttemptsRecord;
  }

  write(task: TaskAddress, record: AttemptsRecord | null): Promise<void> {
    this.#parts.seen.tried(task);
    return this.#soon.write(placeOf(task), { task, record: structuredClone(record) });
  }

  note(task: TaskAddress, record: AttemptsRecord | null): void {
    this.#parts.seen.tried(task);
    this.#soon.note(placeOf(task), { task, record: structuredClone(record) });
  }

  forget(threadId: string): Promise<void> {
    return this.#soon.forget(({ task }) => task.threadId === threadId);
  }

  close(): Promise<void> {
    return this.#soon.close();
  }

  async #store(tried: readonly Tried[]): Promise<void> {
    const { cells, dialect, ready } = this.#parts;
    await ready();
    const rows = await Promise.all(
      tried.map(async ({ task, record }) => ({
        ...keyOfTask(task),
        failed: record?.failed ?? 0,
        nextAttemptAt: record?.nextAttemptAt ?? null,
        data: record === null ? null : await cells.seal(JSON.stringify(record)),
      })),
    );
    await dialect.attempts.write(rows);
  }
}

function keyOfTask({ threadId, namespace, checkpointId, taskId }: TaskAddress): TaskKey {
  return {
    thread: keyOf(threadId),
    ns: keyOf(namespace),
    checkpoint: keyOf(checkpointId),
    task: keyOf(taskId),
  };
}

function placeOf({ threadId, namespace, checkpointId, taskId }: TaskAddress): string {
  return JSON.stringify([threadId, namespace, checkpointId, taskId]);
}
