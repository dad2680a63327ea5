/** What the time is on the server, as its latest answers said. */

import { monotonicNow, systemClock } from "../src/clock.ts";

/** How long one answer tells the time, in milliseconds. */
const LASTS = 60_000;
/** How long an answer that came at once is preferred to one that came late. */
const PREFERRED = 5_000;
/** How much the clocks of this machine may differ: by more, one of them was set, or the machine slept. */
const DIFFERENCE = 50;

export class ServerTime {
  #answer: { server: number; monotonic: number; wall: number } | undefined;

  /** It was so many milliseconds since the epoch a moment ago. */
  heard(server: number): void {
    const monotonic = monotonicNow();
    const known = this.#answer;
    // What came late tells too early a time.
    const isBetter =
      known === undefined ||
      monotonic - known.monotonic > PREFERRED ||
      server - monotonic >= known.server - known.monotonic;
    if (isBetter) this.#answer = { server, monotonic, wall: systemClock.now() };
  }

  /** The time, or a moment earlier; undefined where that was not heard lately. */
  now(): number | undefined {
    if (this.#answer === undefined) return undefined;
    const { server, monotonic, wall } = this.#answer;
    const passed = monotonicNow() - monotonic;
    const isCertain = Math.abs(systemClock.now() - wall - passed) <= DIFFERENCE;
    return passed <= LASTS && isCertain ? server + Math.floor(passed) : undefined;
  }
}
