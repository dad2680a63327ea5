/**
 * The deadline of a whole run, checked at the entry of every step. It is an instant in the state, so
 * it holds across crashes and processes; time spent waiting for the reviewer does not count.
 */

import type { Clock } from "./state.ts";

/** The run is out of time. */
export class DeadlinePassedError extends Error {
  readonly code = "DEADLINE_PASSED";
  readonly step: string;
  readonly deadlineAt: number;

  constructor(step: string, { startedAt, deadlineAt }: Partial<Clock>, now: number) {
    const at = new Date(deadlineAt ?? NaN).toISOString();
    const late = Math.ceil((now - (deadlineAt ?? NaN)) / 1000);
    const allowed =
      startedAt === undefined
        ? ""
        : `, ${Math.round((deadlineAt! - startedAt) / 1000)} s after its start`;
    super(
      `The run's deadline was ${at}${allowed}; "${step}" would have begun ${late} s after it. ` +
        "What is done so far is kept: to go on, fork from an earlier state with a later `deadlineAt`.",
    );
    this.name = "DeadlinePassedError";
    this.step = step;
    this.deadlineAt = deadlineAt!;
  }
}

/** The same step, refusing to begin after the deadline. */
export function withinDeadline<Input extends Partial<Clock>, Rest extends unknown[], Output>(
  name: string,
  now: () => number,
  step: (input: Input, ...rest: Rest) => Promise<Output>,
): (input: Input, ...rest: Rest) => Promise<Output> {
  return async (input, ...rest) => {
    const at = input.waitingSince ?? now();
    if (input.deadlineAt !== undefined && at > input.deadlineAt)
      throw new DeadlinePassedError(name, input, at);
    return step(input, ...rest);
  };
}
