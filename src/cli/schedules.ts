/** Schedules as the commands show them. */

import type { ScheduleInfo } from "../runtime/types.ts";
import type { Missed } from "../schedule-store.ts";
import { instant } from "./format.ts";
import type { Column } from "./table.ts";

export const MISSED: readonly Missed[] = ["skip", "once", "all"];

/** Later than this, no worker is there to fire it. */
const LATE = 60_000;

/** When it fires next, in a few words. */
export function nextOf({ nextAt, paused }: ScheduleInfo): string {
  if (paused) return "paused";
  return nextAt === undefined ? "never fires again" : `fires at ${instant(nextAt)}`;
}

export const SCHEDULE_COLUMNS = (now: number): Column<ScheduleInfo>[] => [
  { title: "SCHEDULE", value: ({ name }) => name, flexible: true },
  { title: "CRON", value: ({ cron }) => cron, flexible: true },
  { title: "ZONE", value: ({ zone }) => zone, flexible: true },
  { title: "GRAPH", value: ({ graph }) => graph, flexible: true },
  { title: "NEXT", value: ({ nextAt }) => (nextAt === undefined ? "" : instant(nextAt)) },
  { title: "LAST", value: ({ lastAt }) => (lastAt === undefined ? "" : instant(lastAt)) },
  { title: "NOTE", value: (schedule) => noteOf(schedule, now), flexible: true },
];

function noteOf({ nextAt, paused }: ScheduleInfo, now: number): string {
  if (paused) return "paused";
  return nextAt !== undefined && nextAt < now - LATE ? "overdue: no worker has this graph" : "";
}
