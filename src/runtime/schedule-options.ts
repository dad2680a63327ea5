/** What may be said of a schedule; what would fail at each firing is refused at once. */

import { InvalidInputError } from "../errors.ts";
import { resolveBudget } from "../policy/budget.ts";
import type { MultitaskStrategy } from "../run-store.ts";
import type { Missed, ScheduleDetails } from "../schedule-store.ts";
import { checkedConfigurable } from "./configurable.ts";
import { checkedModes } from "./stream.ts";
import type { ScheduleOptions } from "./types.ts";

/** With an instant it has to fit into the id of a run. */
const MAX_NAME = 150;

const MISSED: readonly Missed[] = ["skip", "once", "all"];

const STRATEGIES: readonly MultitaskStrategy[] = ["reject", "enqueue", "interrupt", "rollback"];

/** What a database keeps as an integer. */
const MAX_PRIORITY = 2 ** 31 - 1;

/** @throws {InvalidInputError} */
export function checkedName(name: string): void {
  if (typeof name === "string" && name !== "" && name.length <= MAX_NAME) return;
  const found = shown(name);
  throw new InvalidInputError(
    `The name of a schedule is a text of 1 to ${MAX_NAME} characters, not ${found.slice(0, MAX_NAME)}` +
      `${found.length > MAX_NAME ? "…" : ""}.`,
  );
}

/** With defaults. @throws {InvalidInputError} one makes no sense */
export function checkedOptions(
  options: ScheduleOptions,
): Omit<ScheduleDetails, "input"> & { zone: string; missed: Missed } {
  const { zone = "UTC", missed = "once", multitaskStrategy = "enqueue" } = options;
  const { threadId, metadata = {}, priority = 0, deadline, stepLimit, budget } = options;
  oneOf("missed", missed, MISSED);
  oneOf("multitaskStrategy", multitaskStrategy, STRATEGIES);
  if (threadId !== undefined) {
    must(typeof threadId === "string" && threadId !== "", "threadId", "a text", threadId);
  }
  must(typeof metadata === "object" && metadata !== null, "metadata", "an object", metadata);
  const isPriority = Number.isInteger(priority) && Math.abs(priority) <= MAX_PRIORITY;
  must(isPriority, "priority", "a whole number", priority);
  if (deadline !== undefined) {
    must(Number.isFinite(deadline) && deadline > 0, "deadline", "a number above 0", deadline);
  }
  if (stepLimit !== undefined) {
    const isLimit = Number.isInteger(stepLimit) && stepLimit > 0;
    must(isLimit, "stepLimit", "a whole number from 1", stepLimit);
  }
  if (budget !== undefined) resolveBudget("budget", budget);
  const { configurable, compensate } = options;
  if (configurable !== undefined) checkedConfigurable(configurable);
  if (compensate !== undefined) {
    must(typeof compensate === "boolean", "compensate", "true or false", compensate);
  }
  return {
    ...{ zone, missed, multitaskStrategy, threadId, metadata, priority },
    ...{ deadline, stepLimit, budget, configurable, compensate },
    streamMode: options.streamMode === undefined ? undefined : checkedModes(options.streamMode),
  };
}

function oneOf<Value extends string>(name: string, value: Value, known: readonly Value[]): void {
  must(known.includes(value), name, known.map((each) => `"${each}"`).join(" or "), value);
}

function must(holds: boolean, name: string, what: string, found: unknown): void {
  if (holds) return;
  throw new InvalidInputError(`The ${name} of a schedule is ${what}, not ${shown(found)}.`);
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
