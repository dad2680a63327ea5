/** The port between schedules and a database. */

import type { Cell } from "../encoding/cells.ts";

/** A schedule's row, without what is the user's. */
export interface ScheduleRow {
  key: Uint8Array;
  /** The whole name, as text (texts.ts); so are the other texts of the user. */
  name: string;
  revision: string;
  cron: string;
  zone: string;
  graph: string;
  missed: string;
  paused: boolean;
  nextAt: number | null;
  createdAt: number;
  updatedAt: number;
  lastAt: number | null;
  lastRun: string | null;
}

export interface ScheduleMoveRow {
  key: Uint8Array;
  from: string;
  to: string;
  nextAt: number | null;
  /** Null leaves what was fired last. */
  lastAt: number | null;
  lastRun: string | null;
}

export interface ScheduleRows {
  /** @returns false where the schedule is there already */
  insert(row: ScheduleRow, details: Cell): Promise<boolean>;
  /**
   * Changes all but `createdAt`, `lastAt` and `lastRun`.
   * @param from the revision that is changed
   * @param details null leaves them
   * @returns false where it has another revision
   */
  replace(row: ScheduleRow, from: string, details: Cell | null): Promise<boolean>;
  /** @returns false where it has another revision */
  move(move: ScheduleMoveRow): Promise<boolean>;
  /** @returns false where there is none */
  remove(key: Uint8Array): Promise<boolean>;
  read(key: Uint8Array): Promise<(ScheduleRow & { details: Cell }) | undefined>;
  list(): Promise<ScheduleRow[]>;
  /** Those of these graphs that are not paused, the next to fire first. */
  next(graphs: readonly string[], limit: number): Promise<ScheduleRow[]>;
}

/** Columns of {@link ScheduleRow}, in the order of {@link scheduleValues}. */
export const SCHEDULE_COLUMNS = [
  ...["key", "name", "revision", "cron", "zone", "graph", "missed", "paused", "next_at"],
  ...["updated_at", "created_at", "last_at", "last_run"],
] as const;

/** How many of them a schedule that is replaced does not keep. */
export const REPLACED_COLUMNS = SCHEDULE_COLUMNS.indexOf("created_at");

/** @param flag how the database says true and false */
export function scheduleValues<Flag>(
  row: ScheduleRow,
  flag: (value: boolean) => Flag,
): (string | number | Uint8Array | null | Flag)[] {
  return [
    ...[row.key, row.name, row.revision, row.cron, row.zone, row.graph, row.missed],
    ...[flag(row.paused), row.nextAt, row.updatedAt, row.createdAt, row.lastAt, row.lastRun],
  ];
}

export function scheduleRow(row: Record<string, unknown>): ScheduleRow {
  return {
    key: row["key"] as Uint8Array,
    name: row["name"] as string,
    revision: row["revision"] as string,
    cron: row["cron"] as string,
    zone: row["zone"] as string,
    graph: row["graph"] as string,
    missed: row["missed"] as string,
    paused: Boolean(row["paused"]),
    nextAt: row["next_at"] as number | null,
    createdAt: row["created_at"] as number,
    updatedAt: row["updated_at"] as number,
    lastAt: row["last_at"] as number | null,
    lastRun: row["last_run"] as string | null,
  };
}
