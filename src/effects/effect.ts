/**
 * effect(): a side effect that happens once.
 *
 * It is defined at module level, with a name and functions that any process finds again, and called in
 * nodes. What that promises is in docs/semantics.md; how it is kept, in ledger.ts.
 */

import { InvalidInputError } from "../errors.ts";
import { checkKeys, checkOptional, checkWord } from "../policy/options.ts";
import { resolveRetry } from "../policy/retry-policy.ts";
import { ledgerEffect } from "./definition.ts";
import { register } from "./registry.ts";
import { callAt, siteOf } from "./site.ts";
import type { CallOptions, Effect, EffectOptions } from "./types.ts";

const KEYS = [
  ...(["name", "run", "reconcile", "onUnknown", "undo", "dedupeWindow", "retry"] as const),
  ...(["classify", "scope"] as const),
];

/**
 * Defines a side effect that is performed once, whatever crashes: a recorded result is returned and never
 * performed again; an unknown outcome is met as `reconcile` or `onUnknown` say.
 *
 * @throws {InvalidInputError} an option is missing, unknown or of the wrong type
 * @example
 * const charge = effect({
 *   name: "charge-card",
 *   run: (order: Order, { idempotencyKey }) => stripe.charge(order, { idempotencyKey }),
 *   onUnknown: "repeat",
 * });
 * // in a node:
 * const receipt = await charge(state.order, { key: state.order.id });
 */
export function effect<Args, Result>(options: EffectOptions<Args, Result>): Effect<Args, Result> {
  check(options as EffectOptions<unknown, unknown>);
  register(options as EffectOptions<unknown, unknown>);
  const { name } = options;
  const call = async (args: Args, callOptions: CallOptions = {}): Promise<Result> => {
    const site = siteOf(name);
    const scope = callOptions.scope ?? options.scope ?? "thread";
    return site.execution.track(async () => {
      const ledgerCall = await callAt(site, name, args, { ...callOptions, scope });
      return (await site.ledger.perform(ledgerEffect(options, args), ledgerCall)) as Result;
    });
  };
  return Object.assign(call, { effectName: name }) as Effect<Args, Result>;
}

/** The longest name; it stands in messages, and in a column of the database. */
const MAX_NAME = 200;

export function checkName(what: string, name: unknown): void {
  const isName =
    typeof name === "string" &&
    name !== "" &&
    name.length <= MAX_NAME &&
    name.isWellFormed() &&
    // oxlint-disable-next-line no-control-regex -- these are what a name must not have
    !/[\u0000-\u001f]/.test(name);
  if (isName) return;
  throw new InvalidInputError(
    `${what} needs a \`name\`: a text of 1 to ${MAX_NAME} characters, on one line, by which any process ` +
      `finds it again; not ${JSON.stringify(name) ?? String(name)}.`,
  );
}

function check(options: EffectOptions<unknown, unknown>): void {
  checkKeys("effect", options, KEYS);
  const { name, run, reconcile, undo, dedupeWindow, scope } = options;
  const onUnknown: string | undefined = options.onUnknown;
  checkName("An effect", name);
  if (typeof run !== "function") {
    throw new InvalidInputError(`The effect "${name}" needs \`run\`, a function that performs it.`);
  }
  for (const [key, value] of Object.entries({ reconcile, undo })) {
    if (value !== undefined && typeof value !== "function") {
      throw new InvalidInputError(`\`${key}\` of the effect "${name}" must be a function.`);
    }
  }
  if (reconcile === undefined && onUnknown === undefined) {
    throw new InvalidInputError(
      `The effect "${name}" must say what is done when nobody knows whether it was performed: ` +
        '`reconcile` looks it up, `onUnknown: "repeat"` performs it again with the same idempotency key, ' +
        '`onUnknown: "ask"` asks a person. There is no default.',
    );
  }
  if (onUnknown !== undefined) checkWord("effect.onUnknown", onUnknown, ["repeat", "ask"]);
  if (reconcile !== undefined && onUnknown === "repeat") {
    throw new InvalidInputError(
      `The effect "${name}" has \`reconcile\`, which decides what is unknown: \`onUnknown: "repeat"\` ` +
        "would have no say. Leave one of them out.",
    );
  }
  if (scope !== undefined) checkWord("effect.scope", scope, ["thread", "global"]);
  checkOptional("effect.dedupeWindow", dedupeWindow, { atLeast: 0 });
  resolveRetry(options.retry);
}
