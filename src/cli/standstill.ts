/** What stands still and does not say so: runs that are silent, left by their worker, or taken by none. */

import { processOf, systemProcesses } from "../process.ts";
import type { Overdue, Pulse, PulseStore } from "../pulse-store.ts";
import type { WorkflowState } from "../run-store.ts";
import type { Lease } from "../step-store.ts";
import type { Cli } from "./cli.ts";
import type { Saver } from "./database.ts";
import { instant } from "./format.ts";
import { queueOf } from "./runs.ts";

/** Of a thread's lease. One of a process that is certainly gone counts as expired. */
type Hold = "renewed" | "expired" | "none";

export interface Standstill {
  /**
   * - `silent`: it is at work, and nothing was heard of it
   * - `orphaned`: its process is gone, and no other has taken it over
   * - `untaken`: it is due, and no worker takes it
   */
  kind: "silent" | "orphaned" | "untaken";
  threadId: string;
  /** Undefined for a thread that is run without a runtime. */
  runId: string | undefined;
  graph: string | undefined;
  status: WorkflowState;
  /** The durable node that was heard last. */
  step: string | undefined;
  /** The last sign of life; when the lease ran out; since when it could be taken. */
  since: number;
  lease: Hold;
  owner: string | undefined;
  /** The version of its graph that it was begun under. */
  fingerprint: string | undefined;
  /** `holdfast run` accepted it, and `holdfast resume` goes on with it. */
  attended: boolean;
}

/** How long it takes until something counts, in milliseconds. */
export interface Patience {
  /** Without a sign of life. */
  silent: number;
  /** After its lease ran out. */
  orphaned: number;
}

/** As long as a worker waits, unless told otherwise, until it says that a run has stalled. */
export const SILENT = "10m";
/** A run for which a worker is there is taken much sooner. */
export const UNTAKEN = 60_000;

export function pulsesOf(saver: Saver): PulseStore {
  const { pulses } = saver.steps;
  if (pulses === undefined) throw new Error("The saver keeps no runs.");
  return pulses;
}

/** Latest first, by the database's clock. */
export async function standstills(
  saver: Saver,
  { silent, threadId }: { silent: number; threadId?: string | undefined },
): Promise<Standstill[]> {
  const pulses = pulsesOf(saver);
  const of = threadId === undefined ? {} : { threadId };
  const now = await saver.steps.now();
  const before = now - UNTAKEN;
  const [atWork, overdue] = await Promise.all([
    pulses.atWork({ ...of, heardBefore: now - silent, leaseEndedBefore: before }),
    pulses.overdue({ ...of, before }),
  ]);
  // Of a plain `invoke` nobody knows: one that has ended, or waits, is often said to run still.
  const known = atWork.filter(({ runId, lease }) => runId !== undefined || lease !== undefined);
  const stalled = known.flatMap((pulse) => judge(pulse, now, { silent, orphaned: UNTAKEN }) ?? []);
  const all = [...stalled, ...overdue.map(untaken)].toSorted((a, b) => b.since - a.since);
  return Promise.all(all.map((one) => withAttendance(saver, one)));
}

/** With who goes on with it. */
export async function withAttendance(saver: Saver, one: Standstill): Promise<Standstill> {
  const run = one.runId === undefined ? undefined : await queueOf(saver).read(one.runId);
  return { ...one, attended: run?.details.attended === true };
}

/** Since when nothing was heard of threads at work, by thread. */
export async function silences(
  saver: Saver,
  { silent, threadId }: { silent: number; threadId?: string | undefined },
): Promise<Map<string, Standstill>> {
  const now = await saver.steps.now();
  const found = await pulsesOf(saver).atWork({
    ...(threadId === undefined ? {} : { threadId }),
    heardBefore: now - silent,
  });
  const judged = found.flatMap((pulse) => judge(pulse, now, { silent, orphaned: Infinity }) ?? []);
  const known = await Promise.all(judged.map((one) => withAttendance(saver, one)));
  return new Map(known.map((one) => [one.threadId, one]));
}

/** @returns undefined where it is at work, as far as anybody can tell */
export function judge(
  { heardAt, lease, ...pulse }: Pulse,
  now: number,
  { silent, orphaned }: Patience,
): Standstill | undefined {
  const hold = holdOf(lease, now);
  const found = {
    ...{ ...pulse, lease: hold, owner: lease?.owner, fingerprint: undefined },
    attended: false,
  };
  if (lease !== undefined && hold === "expired" && now - lease.expiresAt >= orphaned) {
    return { kind: "orphaned", ...found, since: lease.expiresAt };
  }
  return now - heardAt >= silent ? { kind: "silent", ...found, since: heardAt } : undefined;
}

export function untaken({ run, since }: Overdue): Standstill {
  const { threadId, runId, graph, status, fingerprint } = run;
  return {
    ...{ kind: "untaken", threadId, runId, graph, status, step: undefined },
    ...{ since, lease: "none", owner: undefined, fingerprint, attended: false },
  };
}

/** What it looks like, and what to do. */
export function explain(cli: Cli, one: Standstill): string {
  const { kind, threadId, graph, status, since, lease, owner, fingerprint } = one;
  // One that the command line accepted is for it to go on with.
  const runId = one.attended ? undefined : one.runId;
  const silence = `no sign of life since ${instant(since)}`;
  const resume = cli.again("resume", threadId);
  const isThere = (version = ""): string =>
    `is there one with the graph "${graph}"${version}? ${cli.again("worker", "--graphs", graph ?? "")}`;
  if (kind === "untaken" && one.attended) {
    return `${status}, due since ${instant(since)}, and nobody goes on with it: ${resume}`;
  }
  if (kind === "untaken") {
    const version =
      fingerprint === undefined ? "" : ` in version ${fingerprint}, where it is pinned`;
    return `${status}, due since ${instant(since)}, and no worker took it: ${isThere(version)}`;
  }
  if (kind === "orphaned") {
    return runId === undefined
      ? `its process is gone: ${resume}`
      : `its worker is gone, and no other took it over: ${isThere()}`;
  }
  if (lease === "renewed") {
    const end =
      one.runId === undefined ? "" : `; to end it: ${cli.again("runs", "cancel", one.runId)}`;
    return `${silence}: a node that never returns needs a timeout (${owner})${end}`;
  }
  return `${silence}; if its process is gone: ${runId === undefined ? resume : cli.again("worker", "--graphs", graph ?? "")}`;
}

export function holdOf(lease: Pick<Lease, "owner" | "expiresAt"> | undefined, now: number): Hold {
  if (lease === undefined) return "none";
  const isGone = lease.expiresAt <= now || systemProcesses.isDead(processOf(lease.owner));
  return isGone ? "expired" : "renewed";
}
