/**
 * The one door to the operating system's processes: what this one is called, and whether another is
 * still there. Only a process of the same machine can be told dead; for all others a claim's or a
 * lease's expiry decides.
 */

import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { kill, pid } from "node:process";
import { randomTag } from "./ids.ts";

/** Whether a process that has left its name in the database is still at work. */
export interface Processes {
  /** This process's name, as it stands in rows. */
  readonly own: string;
  /** True for one that is certainly dead. False says nothing. */
  isDead(name: string): boolean;
}

/** The process that took a lease or a claim: what it calls itself, and after "#" which of its runs. */
export function processOf(owner: string): string {
  return owner.split("#", 1)[0] ?? owner;
}

/** Machine, process id, and when it was started: ids are used again. */
interface ProcessName {
  machine: string;
  id: number;
  startedAt: string;
}

/** Ids mean the same only within one boot and one namespace of processes; a container has its own. */
const machine = [
  hostname(),
  tryRead(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim().slice(0, 8)),
  tryRead(() => readlinkSync("/proc/self/ns/pid").replaceAll(/\D/g, "")),
]
  .filter((part) => part !== "")
  .join("/");

/** Of this one, where its start cannot be told: at least as good as any. */
const ownStart = startOf(pid) || randomTag();

export const systemProcesses: Processes = {
  own: `${machine}:${pid}:${ownStart}`,
  isDead(name) {
    const other = parse(name);
    if (other === undefined || other.machine !== machine) return false;
    if (other.id === pid) return other.startedAt !== ownStart;
    try {
      kill(other.id, 0);
    } catch (error) {
      return (error as { code?: string }).code === "ESRCH";
    }
    const start = startOf(other.id);
    return start !== "" && start !== other.startedAt;
  },
};

function parse(name: string): ProcessName | undefined {
  const match = /^(.*):(\d+):([^:]*)$/.exec(name);
  if (match === null) return undefined;
  return { machine: match[1] ?? "", id: Number(match[2]), startedAt: match[3] ?? "" };
}

/** In ticks since the machine was started; empty where the system does not tell. A zombie is over. */
function startOf(id: number): string {
  const stat = tryRead(() => readFileSync(`/proc/${id}/stat`, "utf8"));
  // The program's name, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? "over" : (fields[19] ?? "");
}

function tryRead(read: () => string): string {
  try {
    return read();
  } catch {
    return "";
  }
}
