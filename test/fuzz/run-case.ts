/** The property: a script gives the same history on the saver under test as on the oracle. */

import { randomUUID } from "node:crypto";
import { firstDifference } from "./canonical.ts";
import { usesDelta, type Case } from "./case.ts";
import { dumpOutcome, dumpThread, type Json } from "./dump.ts";
import { caseOfSeed } from "./generate.ts";
import { Oracle } from "./oracle.ts";
import { Run, type Subject, type SubjectFactory } from "./run.ts";
import { runScript } from "./script.ts";
import { countFeatures, type Features } from "./stats.ts";

/** The saver under test tells another story than the oracle. */
export class DifferenceError extends Error {}

/**
 * Runs a case on both savers and compares all that they hold, before and after reopening.
 * @param seedOrValue a case, or a seed to make one of
 * @returns what the case exercised
 * @throws {DifferenceError} says where the first difference is
 */
export async function runCase(
  seedOrValue: number | Case,
  factory: SubjectFactory,
): Promise<Features> {
  const value = typeof seedOrValue === "number" ? caseOfSeed(seedOrValue) : seedOrValue;
  const expected = await record(value, oracle(), true);
  const subject = await factory();
  try {
    const found = await record(value, subject, false);
    compare(expected.dump, found.dump, "");
    await found.run.reopen();
    compare(
      threadsOf(expected.dump),
      await dumpThreads(found.run, value),
      "after reopening the database, ",
    );
    for (let thread = 0; thread < value.threads; thread += 1) {
      await found.run.saver.deleteThread(found.run.threadId(thread));
    }
  } finally {
    await subject.close();
  }
  return countFeatures(value, expected.dump);
}

function oracle(): Subject {
  const saver = new Oracle();
  return { saver, reopen: async () => saver, close: async () => undefined };
}

async function record(
  value: Case,
  subject: Subject,
  deltaAsPlain: boolean,
): Promise<{ run: Run; dump: Json }> {
  const run = new Run(value, subject, { deltaAsPlain, prefix: randomUUID() });
  const outcomes = await runScript(run, value);
  const detail = { tuples: !usesDelta(value.graph) };
  // Ids of all threads may occur in an outcome, but only those of its own thread do.
  const labels = await run.labels(run.threadId(0));
  const dump: Json = {};
  for (const [i, outcome] of outcomes.entries()) {
    dump[`operation ${i} (${value.ops[i]?.do})`] = dumpOutcome(outcome, labels, run.layout, detail);
  }
  return { run, dump: { ...dump, ...(await dumpThreads(run, value)) } };
}

async function dumpThreads(run: Run, value: Case): Promise<Json> {
  const detail = { tuples: !usesDelta(value.graph) };
  const dump: Json = {};
  for (let thread = 0; thread < value.threads; thread += 1) {
    dump[`thread ${thread}`] = await dumpThread(run, run.threadId(thread), detail);
  }
  return dump;
}

function threadsOf(dump: Json): Json {
  return Object.fromEntries(Object.entries(dump).filter(([key]) => key.startsWith("thread ")));
}

function compare(expected: Json, found: Json, when: string): void {
  const difference = firstDifference(expected, found);
  if (difference !== undefined) throw new DifferenceError(when + difference.replace(/^\./, ""));
}
