/**
 * Gives events to the waits that they match, and sends the runs on their way that waited for them.
 *
 * Anybody may do it, and several at once: an event is looked at, in its order, until somebody has noted
 * that it was delivered, which is after the runs were woken.
 *
 * Invariants
 *   V1  Event and wait find each other whichever is stored first: a wait looks at the events that are
 *       there once it is stored itself, and an event at the waits that are there once it is stored.
 *   V2  Only threads with a wait that matches are woken; waits are found by an index, never by a scan.
 *   V3  An event that this process cannot read matches nothing, and keeps none from being delivered.
 *   V4  A wake-up passes no gate and answers no question: the run is looked at, and no more.
 */

import { events as told } from "../events.ts";
import type { EventStore } from "../event-store.ts";
import type { StepStore } from "../step-store.ts";
import { wake } from "../turns.ts";
import { hashAt } from "./event-match.ts";

const BATCH = 100;

/** @returns the threads that were woken */
export async function deliverEvents({ events, queue }: StepStore): Promise<string[]> {
  const woken = new Set<string>();
  if (events === undefined) return [];
  for (;;) {
    const found = await events.undelivered(BATCH);
    if (found.length === 0) return [...woken];
    const threads = await give(events, found);
    for (const threadId of threads) {
      await queue?.turn(threadId, wake);
      woken.add(threadId);
    }
    await events.delivered(found.map(({ seq }) => seq));
  }
}

async function give(
  events: EventStore,
  found: readonly { seq: number; name: string }[],
): Promise<ReadonlySet<string>> {
  const paths = new Map<string, string[]>();
  for (const { name } of found) {
    if (!paths.has(name)) paths.set(name, await events.pathsOf(name));
  }
  const awaited = found.filter(({ name }) => paths.get(name)?.length !== 0);
  const threads = new Set<string>();
  if (awaited.length === 0) return threads;
  for (const event of await events.read(awaited.map(({ seq }) => seq))) {
    const { seq, name, payload, unreadable } = event;
    if (unreadable !== undefined) {
      told.notice(
        `Events "${name}" are waited for and cannot be read in this process, so they match nothing: ` +
          `${unreadable.message} Give the saver of every worker the same types and serde.`,
      );
      continue;
    }
    const matches = (paths.get(name) ?? []).flatMap((at) => {
      const hash = hashAt(payload, at);
      return hash === undefined ? [] : [{ paths: at, hash }];
    });
    for (const threadId of await events.give(seq, matches)) threads.add(threadId);
  }
  return threads;
}
