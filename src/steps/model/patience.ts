/** The limits of one attempt at something outside: its time in all, and its longest silence. */

import { anySignal, orAborted } from "../../abort.ts";
import type { Clock } from "../../clock.ts";
import { AttemptTimeoutError } from "../../errors.ts";
import { isAbortBy } from "../../policy/classify.ts";

export interface Patience {
  /** For the error. */
  what: string;
  /** Milliseconds. */
  timeout?: number | undefined;
  /** Milliseconds without a sign of life. */
  idleTimeout?: number | undefined;
  signal?: AbortSignal | undefined;
  clock: Clock;
}

/**
 * Runs an attempt, which is left to itself once its time is up: it is told by its signal.
 *
 * @throws {AttemptTimeoutError} its time is up
 * @throws the outer signal's reason, when that aborts
 */
export async function withPatience<T>(
  { what, timeout, idleTimeout, signal: outer, clock }: Patience,
  work: (signal: AbortSignal, touch: () => void) => Promise<T>,
): Promise<T> {
  outer?.throwIfAborted();
  const over = new AbortController();
  const done = new AbortController();
  const signal = anySignal(outer, over.signal) ?? over.signal;
  let touchedAt = clock.now();
  const touch = (): void => {
    touchedAt = clock.now();
  };
  const silence = async (longest: number): Promise<void> => {
    for (let left = longest; left > 0; left = touchedAt + longest - clock.now()) {
      await clock.sleep(left, done.signal);
    }
    over.abort(new AttemptTimeoutError(what, "idle", longest));
  };
  const whole = async (longest: number): Promise<void> => {
    await clock.sleep(longest, done.signal);
    over.abort(new AttemptTimeoutError(what, "run", longest));
  };
  // Both end with an abort of their own when the attempt is over.
  if (idleTimeout !== undefined) silence(idleTimeout).catch(() => undefined);
  if (timeout !== undefined) whole(timeout).catch(() => undefined);
  try {
    return await orAborted((async () => work(signal, touch))(), signal);
  } catch (error) {
    // A client that heard of it first threw an abort of its own.
    throw isAbortBy(error, over.signal) ? over.signal.reason : error;
  } finally {
    done.abort();
  }
}
