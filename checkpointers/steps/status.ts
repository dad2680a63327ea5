/**
 * What each thread is doing. A note costs no wait and no commit of its own: the latest of each thread
 * is stored with those of all others.
 *
 * Names of graphs and nodes are code's, and plain text. Error messages and progress notes may hold the
 * user's data, and go through a custom serde; the view then shows "(sealed)".
 */

import { InvalidInputError } from "../../src/errors.ts";
import { isLongId, keyOf } from "../../src/ids.ts";
import type { WorkflowState } from "../../src/run-store.ts";
import type { StatusNote, StatusStore, WorkflowStatus } from "../../src/step-store.ts";
import { cellText, type Cell } from "../encoding/cells.ts";
import type { StepParts } from "./parts.ts";
import { Soon } from "./soon.ts";
import { bitOf, type FoundStatus, type NotedColumn, type NotedStatus } from "./status-rows.ts";
import { beginningOf, fromText, threadIdOf, toText } from "./texts.ts";

interface Noted {
  threadId: string;
  note: StatusNote;
}

const COLUMNS: Record<keyof StatusNote, NotedColumn> = {
  runId: "run_id",
  workflowName: "workflow_name",
  currentStep: "current_step",
  attempt: "attempt",
  startedAt: "started_at",
  progressPercent: "progress_percent",
  progressNote: "progress_note",
  status: "status",
  errorMessage: "error_message",
  waited: "waited",
};

/** Columns that always have a value: `undefined` leaves them. */
const REQUIRED: ReadonlySet<NotedColumn> = new Set(["started_at", "status", "waited"]);

/** What an invocation is doing, or stopped at; the others are said by whoever is in charge of the run. */
const OPEN: ReadonlySet<WorkflowState> = new Set(["running", "interrupted", "parked", "failed"]);

const MAX_OPEN = 4_096;

const DEFAULT_LIMIT = 100;

export class Status implements StatusStore {
  readonly #parts: StepParts;
  readonly #soon: Soon<Noted>;
  /** Threads at work, by this process's notes; the oldest are forgotten. */
  readonly #open = new Set<string>();

  constructor(parts: StepParts) {
    this.#parts = parts;
    this.#soon = new Soon({
      store: (noted) => this.#store(noted),
      merge: (older, newer) => ({ ...newer, note: { ...older.note, ...newer.note } }),
      onFailure: (error) =>
        parts.onNotice(
          `holdfast: the status of threads could not be stored, so \`workflow_status\` is behind: ${String(error)}`,
        ),
    });
  }

  note(threadId: string, note: StatusNote): void {
    if (note.status !== undefined) this.#noteOpen(threadId, OPEN.has(note.status));
    this.#soon.note(threadId, { threadId, note: { ...note } });
  }

  /** Whether durable steps of this process said last that the thread is at work, or stopped. */
  isOpen(threadId: string): boolean {
    return this.#open.has(threadId);
  }

  /** The thread's last checkpoint is stored: nothing is left to do. */
  end(threadId: string): void {
    this.note(threadId, { status: "completed", progressPercent: 100, errorMessage: undefined });
  }

  async read(threadId: string): Promise<WorkflowStatus | undefined> {
    if (this.#soon.pending(threadId) !== undefined) await this.flush();
    await this.#parts.ready();
    const row = await this.#parts.dialect.status.read(keyOf(threadId));
    return row === undefined ? undefined : this.#found(row, threadId);
  }

  async list({
    status,
    limit = DEFAULT_LIMIT,
  }: { status?: WorkflowState; limit?: number } = {}): Promise<WorkflowStatus[]> {
    if (!Number.isInteger(limit) || limit < 1) {
      throw new InvalidInputError(
        `Cannot list statuses: \`limit\` must be a positive integer, and is ${String(limit)}.`,
      );
    }
    await this.flush();
    await this.#parts.ready();
    const rows = await this.#parts.dialect.status.list({ status, limit });
    return Promise.all(rows.map((row) => this.#found(row)));
  }

  flush(): Promise<void> {
    return this.#soon.flush();
  }

  forget(threadId: string): Promise<void> {
    this.#open.delete(threadId);
    return this.#soon.forget((noted) => noted.threadId === threadId);
  }

  close(): Promise<void> {
    return this.#soon.close();
  }

  #noteOpen(threadId: string, isOpen: boolean): void {
    this.#open.delete(threadId);
    if (isOpen) this.#open.add(threadId);
    const [oldest] = this.#open;
    if (this.#open.size > MAX_OPEN && oldest !== undefined) this.#open.delete(oldest);
  }

  async #store(noted: readonly Noted[]): Promise<void> {
    await this.#parts.ready();
    const rows = await Promise.all(noted.map((one) => this.#row(one)));
    await this.#parts.dialect.status.write(rows);
  }

  async #row({ threadId, note }: Noted): Promise<NotedStatus> {
    const { cells } = this.#parts;
    const isSealed = cells.sealing && isLongId(threadId);
    let noted = 0;
    for (const [field, value] of Object.entries(note)) {
      const column = COLUMNS[field as keyof StatusNote];
      if (value !== undefined || !REQUIRED.has(column)) noted |= bitOf(column);
    }
    return {
      key: keyOf(threadId),
      threadId: isSealed ? beginningOf(threadId) : toText(threadId),
      threadName: isSealed ? await cells.seal(JSON.stringify(threadId)) : null,
      runId: text(note.runId),
      workflowName: text(note.workflowName),
      currentStep: text(note.currentStep),
      attempt: whole(note.attempt),
      startedAt: whole(note.startedAt),
      progressPercent: number(note.progressPercent),
      progressNote: await this.#sealed(note.progressNote),
      status: note.status ?? null,
      errorMessage: await this.#sealed(note.errorMessage),
      waited: whole(note.waited),
      noted,
    };
  }

  async #sealed(value: string | undefined): Promise<Cell | null> {
    return value === undefined ? null : this.#parts.cells.seal(toText(value));
  }

  async #opened(cell: Cell | null): Promise<string | undefined> {
    return cell === null ? undefined : fromText(cellText(await this.#parts.cells.open(cell)));
  }

  async #found(row: FoundStatus, threadId?: string): Promise<WorkflowStatus> {
    const { cells } = this.#parts;
    return {
      threadId:
        threadId ??
        (row.threadName === null
          ? fromText(row.threadId)
          : await threadIdOf(cells, row.key, row.threadName)),
      runId: optional(row.runId),
      workflowName: optional(row.workflowName),
      currentStep: optional(row.currentStep),
      attempt: row.attempt ?? undefined,
      startedAt: row.startedAt,
      lastHeartbeat: row.lastHeartbeat,
      progressPercent: row.progressPercent ?? undefined,
      progressNote: await this.#opened(row.progressNote),
      status: row.status as WorkflowState,
      errorMessage: await this.#opened(row.errorMessage),
      waited: row.waited,
      worker: row.worker ?? undefined,
    };
  }
}

function text(value: string | undefined): string | null {
  return value === undefined ? null : toText(value);
}

function optional(stored: string | null): string | undefined {
  return stored === null ? undefined : fromText(stored);
}

function number(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : value;
}

function whole(value: number | undefined): number | null {
  const finite = number(value);
  return finite === null ? null : Math.round(finite);
}
