/**
 * Sleeping in a node: the instant of waking up is fixed, and on record, when the node first goes to
 * sleep. A crash, a retry or an early wake-up goes on with the same instant.
 *
 * Sleeps are told apart by their order in the node's body: the first one is the first one again when
 * the node runs again.
 */

import { currentAttempt, currentNode, type NodeContext } from "../context.ts";
import { systemClock } from "../clock.ts";
import { checkNumber } from "../policy/options.ts";
import { stepsOf } from "./steps-of.ts";
import { TaskRecord, sleepsOf, type Sleeps } from "./task-record.ts";
import { waitUntil } from "./wait.ts";

/** Shorter sleeps are not worth a row: after a crash they begin anew. */
const WORTH_A_ROW = 1_000;

/**
 * Sleeps so many milliseconds. In a durable node a long sleep is parked where parking is on (see
 * `DurablePolicy.parkAfter`): it costs no process, and lasts through deploys and crashes.
 *
 * ```ts
 * const remind = durable(async (state) => {
 *   await sleep(24 * 3_600_000);
 *   return { reminder: await write(state) };
 * });
 * ```
 *
 * @throws {GraphInterrupt} the sleep is parked: let it pass
 */
export async function sleep(duration: number): Promise<void> {
  checkNumber("sleep()'s duration", duration, { atLeast: 0 });
  const node = currentAttempt()?.node ?? currentNode();
  if (node === undefined) return systemClock.sleep(duration);
  const now = await stepsOf(node).now();
  return sleepTill(node, now + duration, duration >= WORTH_A_ROW);
}

/** Sleeps until an instant: a date, or milliseconds since the epoch. See {@link sleep}. */
export async function sleepUntil(at: number | Date): Promise<void> {
  const instant = checkNumber("sleepUntil()'s instant", Number(at));
  const node = currentAttempt()?.node ?? currentNode();
  if (node === undefined) return systemClock.sleep(instant - systemClock.now());
  return sleepTill(node, instant, true);
}

async function sleepTill(node: NodeContext, at: number, isKept: boolean): Promise<void> {
  const sleeps = await sleepsIn(node);
  const occurrence = sleeps.count;
  sleeps.count += 1;
  const { wakeAt } = sleeps.record;
  if (wakeAt[occurrence] === undefined) {
    wakeAt[occurrence] = at;
    if (isKept) await sleeps.record.write();
  }
  await waitUntil(wakeAt[occurrence] ?? at, "sleep");
}

/** Of nodes that are not durable, by their execution: read once. */
const plain = new WeakMap<object, Promise<Sleeps>>();

function sleepsIn(node: NodeContext): Promise<Sleeps> | Sleeps {
  const attempt = currentAttempt();
  const own = attempt?.node.execution === node.execution ? sleepsOf(attempt) : undefined;
  if (own !== undefined) return own;
  let found = plain.get(node.execution);
  if (found === undefined) {
    const { attempts } = stepsOf(node);
    found = attempts
      .read(node.task)
      .then((record) => ({ record: new TaskRecord(attempts, node.task, record), count: 0 }));
    plain.set(node.execution, found);
  }
  return found;
}
