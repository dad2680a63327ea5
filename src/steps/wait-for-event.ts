/**
 * `waitForEvent()`: a node waits for something to happen elsewhere.
 *
 * The wait is a row. Whoever delivers events (deliver-events.ts) gives it the first one that matches; the
 * node's code runs again then, finds the wait ended, and goes on with the event. Where parking is on, no
 * process waits meanwhile; elsewhere the node waits in its process, and delivers events itself.
 *
 * Invariants
 *   F1  A wait that has ended always gives its node the same: this event, or none.
 *   F2  A wait is stored before the node parks, and so are those that the node begins beside it.
 *   F3  No event is given to a wait that began after another wait of its thread had ended with it: a loop
 *       takes one after the other.
 */

import { currentAttempt, currentNode, type AttemptContext, type NodeContext } from "../context.ts";
import { InvalidInputError, NotDurableError } from "../errors.ts";
import type { EventStore, EventWait, NewWait, PlacedEvent } from "../event-store.ts";
import { anySignal } from "../abort.ts";
import { digestOf } from "../ids.ts";
import { checkKeys, checkOptional } from "../policy/options.ts";
import type { StepStore } from "../step-store.ts";
import { deliverEvents } from "./deliver-events.ts";
import { hashAt, matchOf } from "./event-match.ts";
import { whyUnkept } from "./kept-task.ts";
import { noteStop } from "./status.ts";
import { NEVER, park, parkingOf } from "./wait.ts";

export interface WaitForEventOptions {
  /**
   * What the event's payload must have: the values of these fields, also of objects within. Default: every
   * event of the name is taken.
   */
  match?: Record<string, unknown>;
  /** How long to wait, in milliseconds. Default: for ever. */
  timeout?: number;
  /**
   * Names the wait for the whole thread: whoever waits under this name, in any node and in any fork, is
   * given the same event. Default: once per call.
   */
  id?: string;
}

/** An event, as who waited for it gets it. */
export interface ReceivedEvent<Payload = unknown> {
  id: string;
  name: string;
  payload: Payload;
  /** When it left, in milliseconds since the epoch. */
  at: number;
}

/** How often events of other processes are looked for in a process that waits itself. */
const LOOK_AGAIN = 500;

/** Metadata of a run that an event began: that event's id. */
export const BEGUN_BY = "begun_by_event";

/**
 * Waits for an event: one that a node emits, `runtime.emit()`, or a run's end (`run.completed`,
 * `run.failed`, `run.cancelled`, `run.dead`). What came before counts, too, if it came since the run
 * began, so the answer to a request is not missed.
 *
 * Where parking is on (the runtime, `runToEnd` with `park`), a wait of more than a few seconds is parked.
 * Code in front of it runs again when the node goes on; what must not be repeated belongs into an
 * `effect`.
 *
 * ```ts
 * const paid = await waitForEvent<Payment>("payment", { match: { orderId }, timeout: 86_400_000 });
 * if (paid === undefined) return { status: "not paid" };
 * ```
 *
 * Waits may be begun side by side and awaited together (`Promise.all`), but not raced (`Promise.race`,
 * `Promise.any`): a node is parked until all its waits are over, so the one that lost the race may keep it
 * for ever.
 *
 * @returns the event; undefined where the time is up
 * @throws {GraphInterrupt} the wait is parked: let it pass
 * @throws {NotDurableError} outside of a node, without a holdfast saver, or where the task could not be told
 *   again after a crash (see `emit`); there a wait with an `id` is possible
 */
export async function waitForEvent<Payload = unknown>(
  name: string,
  options: WaitForEventOptions = {},
): Promise<ReceivedEvent<Payload> | undefined> {
  const begun = begin(name, options);
  const { waits, inFlight } = begun;
  const opening = open(begun);
  waits.opening.add(opening);
  inFlight?.add(opening);
  let wait: EventWait;
  try {
    wait = await opening;
  } finally {
    waits.opening.delete(opening);
    inFlight?.delete(opening);
  }
  if (wait.isOpen) wait = await goOnWaiting(begun, wait);
  if (wait.event === undefined) return undefined;
  const { id, payload, at } = wait.event;
  return { id, name, payload: payload as Payload, at };
}

interface Begun {
  name: string;
  id: string;
  own: { match: Record<string, unknown>; timeout: number | undefined; isShared: boolean };
  node: NodeContext;
  store: EventStore;
  steps: StepStore;
  waits: Waits;
  inFlight: Set<Promise<unknown>> | undefined;
}

/** The waits of one execution of a node. */
interface Waits {
  occurrences: Map<string, number>;
  opening: Set<Promise<EventWait>>;
  /** Those that are open, with their deadlines. */
  open: Map<string, number>;
}

const executions = new WeakMap<object, Waits>();

/** What is known without asking: above all which of equal waits it is. */
function begin(name: string, options: WaitForEventOptions): Begun {
  const { match = {}, timeout, id } = options;
  if (typeof name !== "string" || name === "")
    throw new InvalidInputError("waitForEvent() needs the name of an event.");
  const where = `waitForEvent("${name}")`;
  checkKeys(where, options, ["match", "timeout", "id"]);
  checkOptional(`${where}'s timeout`, timeout, { atLeast: 0 });
  const node = currentNode();
  const steps = node?.durable?.steps;
  if (node === undefined || steps?.events === undefined) {
    throw new NotDurableError(
      `${where} keeps its wait in the saver's database: call it within a node of a graph that is ` +
        "compiled with a holdfast saver (SqliteSaver or PostgresSaver).",
    );
  }
  const attempt = currentAttempt();
  const isOwn = attempt?.node.execution === node.execution;
  const waits = waitsOf(isOwn ? attempt : node.execution);
  const { paths, hash } = matchOf(match);
  return {
    ...{ name, node, steps, waits, store: steps.events },
    id: id === undefined ? idOf(node, waits, [name, paths, hash]) : sharedId(node, name, id),
    own: { match, timeout, isShared: id !== undefined },
    inFlight: isOwn ? attempt.inFlight : undefined,
  };
}

function waitsOf(execution: object): Waits {
  let waits = executions.get(execution);
  if (waits === undefined) {
    waits = { occurrences: new Map(), opening: new Set(), open: new Map() };
    executions.set(execution, waits);
  }
  return waits;
}

function idOf({ task }: NodeContext, { occurrences }: Waits, what: string[]): string {
  const key = JSON.stringify(what);
  const occurrence = occurrences.get(key) ?? 0;
  occurrences.set(key, occurrence + 1);
  const { threadId, namespace, taskId } = task;
  return digestOf("wait", threadId, namespace, taskId, key, String(occurrence));
}

function sharedId({ task }: NodeContext, name: string, id: string): string {
  if (typeof id !== "string" || id === "")
    throw new InvalidInputError(`waitForEvent("${name}"): the id is a text that is not empty.`);
  return digestOf("shared wait", task.threadId, name, id);
}

/** Stored, and given the first event that is there for it, if any. */
async function open({ name, id, own, node, store, steps, waits }: Begun): Promise<EventWait> {
  const { match, timeout, isShared } = own;
  const why = isShared ? undefined : await whyUnkept(node, store);
  if (why !== undefined) {
    throw new NotDurableError(
      `waitForEvent("${name}") was called in "${node.node}", where its wait could not be told again after a ` +
        `crash: ${why}. Give it an id, or run the graph with durability "sync", with subgraphs that are ` +
        "checkpointed, and with nodes.",
    );
  }
  const wanted: NewWait = {
    ...{ id, name, timeout, ...matchOf(match) },
    threadId: node.task.threadId,
    task: isShared ? undefined : node.task,
    ...(await beginningOf(node, steps)),
  };
  const found = await store.openWait(wanted);
  const wait = found.isOpen ? await settled({ store, steps }, wanted, found) : found;
  if (wait.isOpen) waits.open.set(id, wait.deadlineAt ?? NEVER);
  return wait;
}

/** Of the run: since when events are meant for it. */
async function beginningOf(
  { task, rootCheckpointId, config }: NodeContext,
  { queue, runs }: StepStore,
): Promise<Pick<NewWait, "runId" | "since" | "except">> {
  const { run_id: runId, [BEGUN_BY]: begunBy } = config.metadata ?? {};
  const except = typeof begunBy === "string" ? begunBy : undefined;
  // A run that a runtime accepted has begun when it was accepted.
  const isAccepted = typeof runId === "string" && runId !== "" && runId.length <= MAX_RUN_ID;
  const accepted = isAccepted ? await queue?.read(runId) : undefined;
  if (accepted?.threadId === task.threadId)
    return { runId: accepted.runId, since: accepted.enqueuedAt, except };
  const { startedAt } = await runs.of(task.threadId, rootCheckpointId);
  return { runId: undefined, since: startedAt, except };
}

const MAX_RUN_ID = 200;

/** Takes what there is: what came before it was stored, what it was given since, or that its time is up. */
async function settled(
  { store, steps }: Pick<Begun, "store" | "steps">,
  wanted: Pick<NewWait, "id" | "paths" | "hash">,
  { isLooked, deadlineAt }: EventWait,
): Promise<EventWait> {
  if (!isLooked) {
    await look(store, wanted);
    await store.looked(wanted.id);
  }
  const isLate = deadlineAt !== undefined && deadlineAt <= (await steps.now());
  // What left in time counts, also where nobody has delivered it yet.
  if (isLate) await deliverEvents(steps);
  return store.settle(wanted.id, isLate);
}

async function look(
  store: EventStore,
  { id, paths, hash }: Pick<NewWait, "id" | "paths" | "hash">,
): Promise<void> {
  let last: PlacedEvent | undefined;
  for (;;) {
    const page = await store.candidates(id, last);
    const found = page.find(
      ({ payload, unreadable }) => unreadable === undefined && hashAt(payload, paths) === hash,
    );
    if (found !== undefined) return store.offer(id, found.seq);
    last = page.at(-1);
    if (last === undefined) return;
  }
}

/** Parks, where that is on and it may take long; elsewhere waits here. */
async function goOnWaiting(begun: Begun, wait: EventWait): Promise<EventWait> {
  const { name, node, steps, waits } = begun;
  const current = currentAttempt();
  const attempt = current?.node.execution === node.execution ? current : undefined;
  const { parks, parkAfter } = attempt ?? parkingOf(node);
  if (parks) {
    await allOpened(waits);
    const until = Math.min(wait.deadlineAt ?? NEVER, attempt?.deadlineAt ?? NEVER);
    if (until - (await steps.now()) > parkAfter) {
      const resumeAt = Math.min(until, ...waits.open.values());
      const error = park(node, `event ${name}`, resumeAt, attempt, [...waits.open.keys()]);
      // The attempt notes it when it ends.
      if (attempt === undefined) noteStop({ node, steps }, "parked");
      throw error;
    }
  }
  return waitHere(begun, wait, attempt);
}

/** Invariant F2: what the node waits for in parallel with this is stored, too. */
async function allOpened({ opening }: Waits): Promise<void> {
  // Siblings may begin within the same turn of the event loop.
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
  while (opening.size > 0) await Promise.allSettled(opening);
}

async function waitHere(
  begun: Begun,
  wait: EventWait,
  attempt: AttemptContext | undefined,
): Promise<EventWait> {
  const { id, own, node, store, steps, waits } = begun;
  const wanted = { id, ...matchOf(own.match) };
  const signal = anySignal(attempt?.signal, node.signal);
  for (;;) {
    const rung = new AbortController();
    const leave = store.onLeft(() => rung.abort(new Error("an event has left")));
    try {
      await deliverEvents(steps);
      const now = await settled({ store, steps }, wanted, wait);
      if (!now.isOpen) {
        waits.open.delete(id);
        return now;
      }
      const left = (wait.deadlineAt ?? NEVER) - (await steps.now());
      await steps.clock.sleep(Math.min(LOOK_AGAIN, left), anySignal(rung.signal, signal));
    } catch (error) {
      if (signal?.aborted === true || !rung.signal.aborted) throw error;
    } finally {
      leave();
    }
  }
}
