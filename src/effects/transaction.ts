/**
 * transaction(): the user's SQL and the ledger's row in one transaction of the saver's database. Exactly
 * once: both are there, or neither.
 */

import { InvalidInputError } from "../errors.ts";
import { events } from "../events.ts";
import { canonicalText } from "../canonical.ts";
import { checkKeys } from "../policy/options.ts";
import { systemProcesses } from "../process.ts";
import type { EffectWrite } from "../effect-store.ts";
import { newVersion } from "./claim.ts";
import { checkName } from "./effect.ts";
import { idempotencyKeyOf } from "./key.ts";
import type { LedgerCall } from "./protocol.ts";
import { callAt, siteOf } from "./site.ts";
import type { Site } from "./surroundings.ts";
import type { CallOptions, Effect } from "./types.ts";

/** What `run` gets on SQLite, within the transaction. Every statement is synchronous. */
export interface SqliteHandle {
  exec(sql: string): unknown;
  prepare(sql: string): {
    run(...parameters: unknown[]): { changes: number | bigint };
    get(...parameters: unknown[]): unknown;
    all(...parameters: unknown[]): unknown[];
  };
}

export interface TransactionOptions<Handle, Args, Result> {
  /** As of an effect: what it is called in the ledger. */
  name: string;
  /**
   * The SQL. On Postgres `handle` is a client of the `pg` package; on SQLite a {@link SqliteHandle}, and
   * `run` must be synchronous. It neither begins nor ends the transaction. Where the connection is lost it
   * runs again, after everything was rolled back: it does nothing but SQL.
   */
  run: (
    handle: Handle,
    args: Args,
    context: { idempotencyKey: string },
  ) => Promise<Result> | Result;
  scope?: "thread" | "global";
}

/**
 * Defines a database transaction that happens exactly once, in the database that the saver is in.
 *
 * @throws {InvalidInputError} an option is missing, unknown or of the wrong type
 * @example
 * const reserve = transaction({
 *   name: "reserve-stock",
 *   run: async (client: pg.PoolClient, { sku }: { sku: string }) => {
 *     await client.query("UPDATE stock SET reserved = reserved + 1 WHERE sku = $1", [sku]);
 *   },
 * });
 */
export function transaction<Handle, Args, Result>(
  options: TransactionOptions<Handle, Args, Result>,
): Effect<Args, Result> {
  checkKeys("transaction", options, ["name", "run", "scope"]);
  const { name, run } = options;
  checkName("A transaction", name);
  if (typeof run !== "function") {
    throw new InvalidInputError(
      `The transaction "${name}" needs \`run\`, a function with its SQL.`,
    );
  }
  const call = async (args: Args, callOptions: CallOptions = {}): Promise<Result> => {
    const site = siteOf(name);
    const scope = callOptions.scope ?? options.scope ?? "thread";
    return site.execution.track(async () => {
      const made = await callAt(site, name, args, { ...callOptions, scope, kind: "transaction" });
      return (await once(site, name, made, (handle, idempotencyKey) =>
        run(handle as Handle, args, { idempotencyKey }),
      )) as Result;
    });
  };
  return Object.assign(call, { effectName: name }) as Effect<Args, Result>;
}

async function once(
  { store }: Site,
  name: string,
  first: LedgerCall,
  run: (handle: unknown, idempotencyKey: string) => unknown,
): Promise<unknown> {
  for (let call = first; ;) {
    const idempotencyKey = idempotencyKeyOf(call.identity, 1);
    const told = { ...first.origin, effect: name, idempotencyKey };
    call.signal?.throwIfAborted();
    const done = await store.transact(writeOf(name, call), (handle) => run(handle, idempotencyKey));
    if (done !== undefined) {
      events.emit("effect.recorded", told);
      return store.deserialize(done);
    }
    const { row } = await store.latest(call.identity);
    // Refused for its conditions; or there, while the branch may mean another row.
    if (row === undefined || call.conditions.unlessForked === true) {
      call = await call.onRefused(call);
      continue;
    }
    const text = (args: string): string => canonicalText(store.deserialize(args));
    if (text(row.args) !== text(call.args)) {
      call = await call.onConflict(row, call);
      continue;
    }
    if (row.result === undefined) {
      throw new InvalidInputError(
        `The transaction "${name}" was ended by its own \`run\`, so its result was never recorded. ` +
          "It is not performed again; its SQL must not COMMIT.",
      );
    }
    events.emit("effect.reused", told);
    return store.deserialize(row.result);
  }
}

function writeOf(name: string, call: LedgerCall): EffectWrite {
  const { identity, scope, key, place, args, leaseToken, conditions } = call;
  return {
    row: {
      ...{ identity, scope, key, place, args, leaseToken, name },
      generation: 1,
      kind: "transaction",
      idempotencyKey: idempotencyKeyOf(identity, 1),
      state: "recorded",
      process: systemProcesses.own,
      attempts: 1,
      undoable: false,
      result: undefined,
      error: undefined,
      reason: undefined,
    },
    replaces: undefined,
    version: newVersion(),
    claims: true,
    expiresIn: undefined,
    sent: "now",
    ...conditions,
  };
}
