/**
 * idempotent(): for the user's own HTTP services, the other side of idempotency keys. A request that came
 * twice is answered twice and handled once.
 */

import { EffectConflictError, InvalidInputError, NotDurableError } from "../errors.ts";
import type { EffectStore } from "../effect-store.ts";
import { checkOptional } from "../policy/options.ts";
import { resolveRetry } from "../policy/retry-policy.ts";
import { isDurableSaver, type DurableSaver } from "../step-store.ts";
import { requestOf } from "./key.ts";
import type { LedgerCall, LedgerEffect } from "./protocol.ts";
import { ledgerOf } from "./ledgers.ts";

export interface IdempotentOptions {
  /** What was asked for (the body, say): another one under the same key is refused. */
  request?: unknown;
  /** How long the answer is remembered, in milliseconds; default 24 hours. */
  keepFor?: number;
  signal?: AbortSignal;
}

const DAY = 24 * 60 * 60 * 1_000;
/** Between two removals of expired answers by one process. */
const SWEEP_INTERVAL = 60 * 60 * 1_000;

const ONCE = resolveRetry({ maxAttempts: 1 });
const swept = new WeakMap<EffectStore, number>();

/**
 * Handles a request once for each key: looks it up, locks it, runs the handler, stores its answer. All
 * who ask with the key, at the same time or later, in any process, get that answer.
 *
 * A handler that throws has answered nothing: the next request runs it again. So does one after a crash
 * in the middle; what must not happen twice belongs into `transaction()` or the receiver's own idempotency.
 *
 * @param key of the request, such as its `Idempotency-Key` header; it is used by all who share the saver
 * @returns what the handler returned; plain data, since it is stored
 * @throws {EffectConflictError} another request was made under this key
 * @example
 * const answer = await idempotent(saver, headers["idempotency-key"], () => createOrder(body), { request: body });
 */
export async function idempotent<Answer>(
  saver: DurableSaver,
  key: string,
  handler: (context: { signal: AbortSignal }) => Promise<Answer> | Answer,
  options: IdempotentOptions = {},
): Promise<Answer> {
  if (!isDurableSaver(saver)) {
    throw new NotDurableError(
      'idempotent() needs a saver of "holdfast/sqlite" or "holdfast/postgres".',
    );
  }
  if (typeof key !== "string" || key === "") {
    throw new InvalidInputError(
      `idempotent() needs the request's key, a text that is not empty, not ${JSON.stringify(key)}.`,
    );
  }
  const { request, keepFor = DAY, signal } = options;
  checkOptional("idempotent.keepFor", keepFor, { above: 0 });
  const { ledger, store } = ledgerOf(saver);
  await sweep(store, saver.steps.clock.now());
  const effect: LedgerEffect = {
    kind: "request",
    name: "request",
    run: (context) => handler({ signal: context.signal }),
    reconcile: undefined,
    onUnknown: "repeat",
    dedupeWindow: Number.POSITIVE_INFINITY,
    retry: ONCE,
    classify: undefined,
    undoable: false,
    keepFor,
  };
  const call: LedgerCall = {
    identity: requestOf(key),
    scope: "global",
    key,
    place: {
      ...{ threadId: "", rootCheckpointId: "", node: "", execution: "" },
      ...{ runId: undefined, taskId: undefined },
    },
    leaseToken: undefined,
    args: store.serialize(request, "request"),
    signal,
    conditions: {},
    onRefused: (again) => Promise.resolve(again),
    onConflict: () =>
      Promise.reject(
        new EffectConflictError(
          "request",
          `Another request was made under the key ${JSON.stringify(key)}. Nothing was done: a new request needs a new key.`,
        ),
      ),
    ask: () => Promise.resolve({ outcome: "retry" }),
    origin: {},
  };
  return (await ledger.perform(effect, call)) as Answer;
}

async function sweep(store: EffectStore, now: number): Promise<void> {
  if (now - (swept.get(store) ?? Number.NEGATIVE_INFINITY) < SWEEP_INTERVAL) return;
  swept.set(store, now);
  await store.expireRequests();
}
