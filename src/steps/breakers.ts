/** Breakers as rows that all processes share: the door between `policy/breaker.ts` and the store. */

import { BreakerOpenError } from "../errors.ts";
import { events } from "../events.ts";
import { randomTag } from "../ids.ts";
import {
  TRIAL_LEASE,
  admit,
  isolate,
  renewTrial,
  reset,
  settle,
  type BreakerChange,
  type BreakerState,
  type CallOutcome,
  type ResolvedBreaker,
} from "../policy/breaker.ts";
import type { StepStore } from "../step-store.ts";
import { keepRenewing } from "./renewal.ts";

type Steps = Pick<StepStore, "states" | "clock">;

/** A call that was let through. */
export interface BreakerPass {
  /** True for the one call that decides whether the breaker closes. */
  readonly trial: boolean;
  /** To be called once, when the call has ended. */
  end(outcome: CallOutcome): Promise<void>;
}

/** Asks a breaker to let a call through. Nothing is written where it is closed. */
export async function enterBreaker(
  steps: Steps,
  name: string,
  policy: ResolvedBreaker,
): Promise<BreakerPass | BreakerOpenError> {
  const id = randomTag();
  const { admission, change } = await steps.states.decide<BreakerState, ReturnType<typeof admit>>(
    "breakers",
    { name },
    (state, now) => decision(admit(state, id, now, policy)),
  );
  tell(name, change);
  if (!admission.allowed) return new BreakerOpenError(name, admission.retryAt, admission.isolated);

  const { era, trial } = admission;
  const stop = trial
    ? keepRenewing(steps.clock, TRIAL_LEASE, () =>
        steps.states.decide<BreakerState, void>("breakers", { name }, (state, now) => ({
          ...withState(renewTrial(state, id, now).state),
          result: undefined,
        })),
      )
    : undefined;
  return {
    trial,
    end: async (outcome) => {
      stop?.();
      if (outcome.result === "neutral" && !trial) return;
      const step = await steps.states.decide<BreakerState, ReturnType<typeof settle>>(
        "breakers",
        { name },
        (state, now) => decision(settle(state, { id, era, outcome }, now, policy)),
      );
      tell(name, step.change);
    },
  };
}

/** A look at a breaker that takes no trial: undefined where a call may be let through. */
export async function openBreaker(
  steps: Steps,
  name: string,
  policy: ResolvedBreaker,
): Promise<BreakerOpenError | undefined> {
  const { state, now } = await steps.states.read("breakers", { name });
  // Nothing is kept of the answer, so nobody is on trial.
  const { admission } = admit(state as BreakerState | undefined, "", now, policy);
  return admission.allowed
    ? undefined
    : new BreakerOpenError(name, admission.retryAt, admission.isolated);
}

/** A breaker, as people look at it. Instants are milliseconds since the epoch. */
export interface BreakerInfo {
  name: string;
  state: BreakerState["state"];
  /** Consecutive ones, or those in the window that opened it. */
  failures: number;
  /** When it left "closed". */
  since?: number;
  /** When the next trial may be made. */
  retryAt?: number;
  /** Why it was isolated. */
  reason?: string;
  updatedAt: number;
}

/** All breakers that ever had a failure, by name. */
export async function listBreakers(steps: Pick<StepStore, "states">): Promise<BreakerInfo[]> {
  const found = await steps.states.list("breakers");
  return found.map(({ name, state, updatedAt }) => infoOf(name, state as BreakerState, updatedAt));
}

/** Opens a breaker by hand: nothing is called through it until it is reset. */
export function isolateBreaker(
  steps: Pick<StepStore, "states">,
  name: string,
  reason?: string,
): Promise<void> {
  return steps.states.decide<BreakerState, void>("breakers", { name }, (state, now) => ({
    state: isolate(state, now, reason),
    result: undefined,
  }));
}

/** Closes a breaker by hand, whatever its state. */
export async function resetBreaker(steps: Pick<StepStore, "states">, name: string): Promise<void> {
  const wasClosed = await steps.states.decide<BreakerState, boolean>(
    "breakers",
    { name },
    (state) => ({
      state: reset(state),
      result: state === undefined || state.state === "closed",
    }),
  );
  if (!wasClosed) events.emit("breaker.closed", { name });
}

function decision<Step extends { state?: BreakerState }>(step: Step) {
  return { ...withState(step.state), result: step };
}

function withState(state: BreakerState | undefined): { state?: BreakerState } {
  return state === undefined ? {} : { state };
}

function tell(name: string, change: BreakerChange | undefined): void {
  switch (change?.change) {
    case "opened": {
      const { failures, retryAt } = change;
      events.emit("breaker.opened", { name, failures, retryAt });
      break;
    }
    case "halfOpened":
      events.emit("breaker.halfOpened", { name });
      break;
    case "closed":
      events.emit("breaker.closed", { name });
      break;
    case undefined:
  }
}

function infoOf(name: string, state: BreakerState, updatedAt: number): BreakerInfo {
  switch (state.state) {
    case "closed":
      return { name, state: "closed", failures: state.failing.length, updatedAt };
    case "open": {
      const { failures, since, retryAt } = state;
      return { name, state: "open", failures, since, retryAt, updatedAt };
    }
    case "half-open": {
      const { failures, since } = state;
      return { name, state: "half-open", failures, since, updatedAt };
    }
    case "isolated": {
      const { since, reason } = state;
      return {
        name,
        state: "isolated",
        failures: 0,
        since,
        ...(reason !== undefined && { reason }),
        updatedAt,
      };
    }
  }
}
