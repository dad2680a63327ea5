/** Schedules over a database's rows: names become keys, and what is the user's is sealed. */

import { compareTexts, keyOf } from "../../src/ids.ts";
import type { ScheduleMove } from "../../src/run-store.ts";
import type {
  Missed,
  ScheduleDetails,
  ScheduleRecord,
  ScheduleStore,
  StoredSchedule,
} from "../../src/schedule-store.ts";
import { parseCell, type Cell } from "../encoding/cells.ts";
import { Decoder } from "../encoding/decode.ts";
import { encode } from "../encoding/encode.ts";
import { stringify, type Node } from "../encoding/tree.ts";
import type { StepParts } from "./parts.ts";
import type { ScheduleMoveRow, ScheduleRow, ScheduleRows } from "./schedule-rows.ts";
import { fromText, toText } from "./texts.ts";

export class Schedules implements ScheduleStore {
  readonly #parts: StepParts;

  constructor(parts: StepParts) {
    this.#parts = parts;
  }

  async put(
    schedule: ScheduleRecord,
    from: string | undefined,
    details?: ScheduleDetails,
  ): Promise<boolean> {
    const rows = await this.#rows();
    const sealed = details === undefined ? null : await this.#seal(details);
    if (from !== undefined) return rows.replace(rowOf(schedule), from, sealed);
    if (sealed === null) throw new Error("A new schedule has details.");
    return rows.insert(rowOf(schedule), sealed);
  }

  async move(move: ScheduleMove): Promise<boolean> {
    return (await this.#rows()).move(moveRow(move));
  }

  async remove(name: string): Promise<boolean> {
    return (await this.#rows()).remove(keyOf(name));
  }

  async read(name: string): Promise<StoredSchedule | undefined> {
    const row = await (await this.#rows()).read(keyOf(name));
    if (row === undefined) return undefined;
    return { ...recordOf(row), details: await this.#open(row.details) };
  }

  async list(): Promise<ScheduleRecord[]> {
    const found = (await (await this.#rows()).list()).map(recordOf);
    return found.toSorted((a, b) => compareTexts(a.name, b.name));
  }

  async next(graphs: readonly string[], limit: number): Promise<ScheduleRecord[]> {
    if (graphs.length === 0) return [];
    return (await (await this.#rows()).next(graphs.map(toText), limit)).map(recordOf);
  }

  async #rows(): Promise<ScheduleRows> {
    await this.#parts.ready();
    return this.#parts.dialect.schedules;
  }

  async #seal(details: ScheduleDetails): Promise<Cell> {
    const { cells, types } = this.#parts;
    const tree = encode(details, undefined, { channel: "schedule", payloads: undefined, types });
    return cells.seal(stringify(tree, new Set()));
  }

  async #open(cell: Cell): Promise<ScheduleDetails> {
    const { cells, types } = this.#parts;
    const tree = parseCell(await cells.open(cell), "details of a schedule") as Node;
    return new Decoder(types).decode(tree) as ScheduleDetails;
  }
}

export function moveRow({ name, from, to, nextAt, fired }: ScheduleMove): ScheduleMoveRow {
  return {
    ...{ key: keyOf(name), from, to, nextAt: nextAt ?? null },
    lastAt: fired?.at ?? null,
    lastRun: fired === undefined ? null : toText(fired.runId),
  };
}

function rowOf(schedule: ScheduleRecord): ScheduleRow {
  const { revision, missed, paused, createdAt, updatedAt } = schedule;
  return {
    ...{ revision, missed, paused, createdAt, updatedAt },
    key: keyOf(schedule.name),
    name: toText(schedule.name),
    cron: toText(schedule.cron),
    zone: toText(schedule.zone),
    graph: toText(schedule.graph),
    nextAt: schedule.nextAt ?? null,
    lastAt: schedule.lastAt ?? null,
    lastRun: schedule.lastRun === undefined ? null : toText(schedule.lastRun),
  };
}

function recordOf(row: ScheduleRow): ScheduleRecord {
  const { revision, paused, createdAt, updatedAt } = row;
  return {
    name: fromText(row.name),
    revision,
    cron: fromText(row.cron),
    zone: fromText(row.zone),
    graph: fromText(row.graph),
    missed: row.missed as Missed,
    paused,
    nextAt: row.nextAt ?? undefined,
    ...{ createdAt, updatedAt },
    lastAt: row.lastAt ?? undefined,
    lastRun: row.lastRun === null ? undefined : fromText(row.lastRun),
  };
}
