/**
 * Fields of a run that live in the graph's own state: visible in every checkpoint, and changed by a
 * person with `updateState`.
 *
 * Deadlines (names as in docs/semantics.md): an instant that limits the whole run. Each durable node
 * looks at it when it begins, and cuts its attempts and its waits to what is left.
 */

import { Annotation } from "@langchain/langgraph";
import { systemClock, type Clock } from "./clock.ts";
import { InvalidInputError } from "./errors.ts";

/** What the fields hold. Instants are milliseconds since the epoch. */
export interface DurableFields {
  /** When the deadline was set. */
  startedAt?: number | null | undefined;
  /** When the run must be over; null or nothing: never. */
  deadlineAt?: number | null | undefined;
  /** Whether time spent waiting for a person counts, too. */
  deadlineIncludesWaits?: boolean | null | undefined;
}

const latest = <T>(): { reducer: (current: T, next: T) => T } => ({ reducer: (_, next) => next });

/** The fields, for `Annotation.Root({ ...durableState, ... })`. */
export const durableState = {
  startedAt: Annotation<number | null | undefined>(latest()),
  deadlineAt: Annotation<number | null | undefined>(latest()),
  deadlineIncludesWaits: Annotation<boolean | null | undefined>(latest()),
};

/** The fields, for `new StateSchema({ ...durableStateSchema, ... })`. */
export const durableStateSchema = {
  startedAt: schemaOf<number>("number"),
  deadlineAt: schemaOf<number>("number"),
  deadlineIncludesWaits: schemaOf<boolean>("boolean"),
};

interface Zod<N, B> {
  number(): { nullish(): N };
  boolean(): { nullish(): B };
}

/** The fields, for `z.object({ ...durableZodState(z), ... })`; `z` is your own zod. */
export function durableZodState<N, B>(
  z: Zod<N, B>,
): { startedAt: N; deadlineAt: N; deadlineIncludesWaits: B } {
  return {
    startedAt: z.number().nullish(),
    deadlineAt: z.number().nullish(),
    deadlineIncludesWaits: z.boolean().nullish(),
  };
}

export interface DeadlineOptions {
  /** Whether time spent waiting for a person counts, too. Default false. */
  includeWaits?: boolean;
  /** For tests. */
  clock?: Clock;
}

/**
 * Gives a run this long from now: in its input (`graph.invoke({ ...input, ...withDeadline(60_000) })`),
 * returned by a node, or later, by `graph.updateState(config, withDeadline(60_000))`.
 *
 * @param duration milliseconds; `Infinity` takes the deadline away
 */
export function withDeadline(
  duration: number,
  { includeWaits = false, clock = systemClock }: DeadlineOptions = {},
): { startedAt: number; deadlineAt: number | null; deadlineIncludesWaits: boolean } {
  if (typeof duration !== "number" || !(duration >= 0)) {
    throw new InvalidInputError(
      `withDeadline() takes milliseconds from now, not ${String(duration)}: withDeadline(60_000).`,
    );
  }
  const startedAt = clock.now();
  const deadlineAt = duration === Infinity ? null : startedAt + duration;
  return { startedAt, deadlineAt, deadlineIncludesWaits: includeWaits };
}

/** The fields of any value that may be a state; undefined where it tells of no deadline. */
export function durableFieldsOf(state: unknown): DurableFields | undefined {
  if (typeof state !== "object" || state === null || !("deadlineAt" in state)) return undefined;
  const { deadlineAt } = state;
  return deadlineAt === null || typeof deadlineAt === "number"
    ? (state as DurableFields)
    : undefined;
}

/** A field as a schema: Standard Schema by hand, so that no schema library is needed. */
function schemaOf<T>(type: "number" | "boolean") {
  type Value = T | null | undefined;
  const json = (): Record<string, unknown> => ({ type: [type, "null"] });
  const validate = (
    value: unknown,
  ): { value: Value } | { issues: readonly { message: string }[] } =>
    value === undefined || value === null || typeof value === type
      ? { value: value as Value }
      : { issues: [{ message: `Expected a ${type}, found ${JSON.stringify(value)}.` }] };
  return {
    "~standard": {
      version: 1 as const,
      vendor: "holdfast",
      validate,
      jsonSchema: { input: json, output: json },
      types: undefined as { input: Value; output: Value } | undefined,
    },
  };
}
