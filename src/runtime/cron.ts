/** Cron expressions: when they come next. The one place that knows who reads them. */

import { Cron as Croner } from "croner";
import { InvalidInputError } from "../errors.ts";

/** Of what a user gave, in a message. */
const SHOWN = 80;

export interface Cron {
  /** As it was given, with single spaces. */
  readonly text: string;
  readonly zone: string;
  /** The first instant after that one; undefined where none comes any more. */
  next(after: number): number | undefined;
}

/**
 * Reads an expression of five fields, of six with seconds in front, or a nickname such as `@daily`.
 *
 * @param zone an IANA time zone, such as "Europe/Berlin"
 * @throws {InvalidInputError} it makes no sense, or there is no such zone
 */
export function parseCron(text: string, zone: string): Cron {
  mustBeZone(zone);
  if (typeof text !== "string") throw unreadable(text, "it is not a text");
  const fields = text.trim().split(/\s+/);
  const plain = fields.join(" ");
  // The library reads a date, too, which would come once.
  if (!plain.startsWith("@") && fields.length !== 5 && fields.length !== 6) {
    const found = plain === "" ? "none" : String(fields.length);
    throw unreadable(
      plain,
      `it has to have five fields, or six with seconds in front, not ${found}`,
    );
  }
  // It stands for the time at which it is read, and processes read it at different times.
  if (plain.includes("?")) throw unreadable(plain, 'write "*" instead of "?"');
  let cron: Croner;
  try {
    cron = new Croner(plain, { timezone: zone, mode: "5-or-6-parts" });
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw unreadable(plain, said.replace(/^CronPattern: /, ""), { cause });
  }
  return {
    ...{ text: plain, zone },
    next: (after) => cron.nextRun(new Date(after))?.getTime(),
  };
}

function unreadable(text: unknown, why: string, options?: ErrorOptions): InvalidInputError {
  return new InvalidInputError(
    `The cron expression ${shown(text)} cannot be read: ${clipped(why)}`.replace(/\.?$/, ".") +
      ' It is something like "0 9 * * 1-5" or "@daily".',
    options,
  );
}

function mustBeZone(zone: string): void {
  try {
    if (typeof zone !== "string" || zone === "") throw new RangeError("no zone");
    Intl.DateTimeFormat("en", { timeZone: zone });
  } catch (cause) {
    throw new InvalidInputError(
      `There is no time zone ${shown(zone)} here. It is something like "Europe/Berlin" or "UTC".`,
      { cause },
    );
  }
}

function shown(value: unknown): string {
  return clipped(JSON.stringify(value) ?? String(value));
}

function clipped(text: string): string {
  return text.length <= SHOWN * 2 ? text : `${text.slice(0, SHOWN)}…`;
}
