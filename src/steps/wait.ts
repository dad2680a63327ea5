/**
 * Waiting, in one place: backoffs, sleeps, open breakers and full limits all come here.
 *
 * A wait is in process, or it is parked: then it ends the invocation with an interrupt of ours, and
 * whoever invokes the graph again (a script, `runToEnd`, the runtime's timer) goes on with it.
 *
 * Invariants
 *   W1  A park has an id of its own, 32 hex digits and none of LangGraph's: no answer meant for a
 *       question can reach it, and none is given to it.
 *   W2  A park sticks: an attempt that has parked ends parked, whatever its code does with the error.
 *   W3  A wait ends at once when the run is aborted.
 */

import { GraphInterrupt, type Interrupt } from "@langchain/langgraph";
import {
  PARK_AFTER_KEY,
  currentAttempt,
  currentNode,
  originOf,
  type AttemptContext,
  type NodeContext,
} from "../context.ts";
import { anySignal } from "../abort.ts";
import { systemClock } from "../clock.ts";
import { events } from "../events.ts";
import { digestOf } from "../ids.ts";
import type { StepStore } from "../step-store.ts";
import { noteStop } from "./status.ts";
import { stepsOf } from "./steps-of.ts";

/** What an interrupt of a parked task holds. */
export interface Parked {
  kind: "parked";
  reason: string;
  /** Invoked earlier, the graph only parks again. Milliseconds since the epoch; {@link NEVER} without a deadline. */
  resumeAt: number;
  /** What else ends it: waits for events, by their ids. */
  waits?: readonly string[];
}

/** The last instant that a `Date` can tell: a wait that only something else ends. */
export const NEVER = 8_640_000_000_000_000;

/** Where a wait takes place, and whether it may be parked. */
export interface WaitPlace {
  node: NodeContext;
  steps: StepStore;
  parks: boolean;
  parkAfter: number;
}

/**
 * Waits until an instant of the database's time.
 *
 * Where the running node parks, and the wait is longer than it waits in process, throws the interrupt
 * that parks it: let it pass. Elsewhere settles when it is time.
 *
 * @param reason shown to people: `backoff`, `breaker openai:gpt-4o`, `sleep`
 * @throws {GraphInterrupt} the wait is parked
 * @throws the signal's reason, when the run or the attempt is aborted
 */
export async function waitUntil(
  at: number,
  reason: string,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const attempt = currentAttempt();
  const node = attempt?.node ?? currentNode();
  if (node === undefined) {
    await systemClock.sleep(at - systemClock.now(), signal);
    return;
  }
  const { parks, parkAfter } = attempt ?? parkingOf(node);
  await waitIn({ node, steps: stepsOf(node), parks, parkAfter }, at, reason, { signal, attempt });
}

/** The longest wait in process where parking is on and nothing else is said, in milliseconds. */
const DEFAULT_PARK_AFTER = 5_000;

/** Whether, and beyond what, waits of a node are parked. */
export function parkingOf(
  { config, saver }: NodeContext,
  own?: number,
): { parks: boolean; parkAfter: number } {
  const asked: unknown = config.configurable?.[PARK_AFTER_KEY];
  const parkAfter = own ?? (typeof asked === "number" ? asked : undefined);
  return {
    parks: parkAfter !== undefined && saver !== undefined,
    parkAfter: parkAfter ?? DEFAULT_PARK_AFTER,
  };
}

/** The same, where the place is known. */
export async function waitIn(
  { node, steps, parks, parkAfter }: WaitPlace,
  at: number,
  reason: string,
  {
    signal,
    attempt,
  }: { signal?: AbortSignal | undefined; attempt?: AttemptContext | undefined } = {},
): Promise<void> {
  const duration = at - (await steps.now());
  if (duration <= 0) return;
  if (parks && duration > parkAfter) {
    const error = park(node, reason, at, attempt);
    // The attempt notes it when it ends.
    if (attempt === undefined) noteStop({ node, steps }, "parked");
    throw error;
  }
  await steps.clock.sleep(duration, anySignal(signal, attempt?.signal, node.signal));
}

/** The interrupt that parks a node's task; of several in one attempt the earliest counts. */
export function park(
  node: NodeContext,
  reason: string,
  resumeAt: number,
  attempt?: { parked: Error | undefined },
  waits: readonly string[] = [],
): GraphInterrupt {
  const before = parkedBy(attempt?.parked);
  const earliest =
    before !== undefined && before.resumeAt <= resumeAt ? before : { reason, resumeAt };
  const all = [...new Set([...(before?.waits ?? []), ...waits])];
  const value: Parked = {
    ...{ kind: "parked", reason: earliest.reason, resumeAt: earliest.resumeAt },
    ...(all.length > 0 && { waits: all }),
  };
  const error = new GraphInterrupt([{ id: parkId(node), value }]);
  // A question stays the one that it was: it is answered before any timer is of use.
  if (attempt !== undefined && (attempt.parked === undefined || before !== undefined))
    attempt.parked = error;
  events.emit("run.parked", { ...originOf(node), reason, resumeAt });
  return error;
}

/** The id of a task's park: its own, and always the same. */
export function parkId({ task }: NodeContext): string {
  return digestOf("parked", task.taskId);
}

/** What an error parks; undefined for any other error, and for questions to people. */
export function parkedBy(error: unknown): Parked | undefined {
  const { interrupts } = (error ?? {}) as { interrupts?: Interrupt[] };
  return interrupts?.map(({ value }) => value as unknown).find(isParked);
}

/** True for the value of an interrupt that parks a task. */
export function isParked(value: unknown): value is Parked {
  return (
    typeof value === "object" &&
    value !== null &&
    (value as Partial<Parked>).kind === "parked" &&
    typeof (value as Partial<Parked>).resumeAt === "number"
  );
}

/**
 * When to invoke a graph again whose `invoke` came back parked: the earliest of its parks; undefined
 * where none of its tasks is parked.
 */
export function parkOf(result: unknown): Parked | undefined {
  const interrupts = (result as { __interrupt__?: Interrupt[] } | undefined)?.__interrupt__ ?? [];
  const parks = interrupts.map(({ value }) => value as unknown).filter(isParked);
  return parks.toSorted((a, b) => a.resumeAt - b.resumeAt)[0];
}
