/** The ledger as people look at it: what was performed, and what became of it. */

import type { EffectRow, EffectStore } from "../effect-store.ts";
import { InvalidInputError, NotFoundError } from "../errors.ts";
import { systemProcesses } from "../process.ts";
import type { DurableSaver } from "../step-store.ts";
import { ledgerOf } from "./ledgers.ts";

/** A row with its values read. Instants are milliseconds since the epoch. */
export interface LedgerEntry extends Omit<EffectRow, "place" | "version" | "args" | "result"> {
  threadId: string;
  runId: string | undefined;
  node: string;
  args: unknown;
  /** Undefined where it has none. */
  result: unknown;
  /** Claimed by a process that is dead, or has not renewed its claim: nobody knows what became of it. */
  abandoned: boolean;
}

export interface LedgerQuery {
  threadId?: string;
  name?: string;
  /** Only those whose outcome nobody knows. */
  unknown?: boolean;
  /** Default 100. */
  limit?: number;
}

/** More rows than a person reads; claims under way are sorted out of so many. */
const MOST = 10_000;

/** Latest claimed first. */
export async function listEffects(
  saver: DurableSaver,
  { threadId, name, unknown = false, limit = 100 }: LedgerQuery = {},
): Promise<LedgerEntry[]> {
  const { store } = ledgerOf(saver);
  const [rows, now] = await Promise.all([
    store.list({
      ...(threadId !== undefined && { threadId }),
      ...(name !== undefined && { name }),
      ...(unknown && { states: ["claimed", "unknown"] }),
      limit: unknown ? MOST : limit,
    }),
    saver.steps.now(),
  ]);
  const entries = rows.map((row) => entryOf(store, row, now));
  if (!unknown) return entries;
  return entries.filter(({ state, abandoned }) => state === "unknown" || abandoned).slice(0, limit);
}

/**
 * One of them, by its idempotency key or a unique beginning of it.
 * @throws {InvalidInputError} several begin so
 * @throws {NotFoundError} none does
 */
export async function findEffect(saver: DurableSaver, id: string): Promise<LedgerEntry> {
  if (!/^[0-9a-f]{1,32}$/.test(id)) {
    throw new InvalidInputError(
      `The id of an effect, its idempotency key, is up to 32 hex digits, not "${id}".`,
    );
  }
  const { store } = ledgerOf(saver);
  const [found, other] = await store.list({ prefix: id, limit: 2 });
  if (found === undefined) throw new NotFoundError(`There is no effect "${id}".`);
  if (other !== undefined) {
    throw new InvalidInputError(`Several effects begin with "${id}": give more of the id.`);
  }
  return entryOf(store, found, await saver.steps.now());
}

function entryOf(store: EffectStore, row: EffectRow, now: number): LedgerEntry {
  const { place, version: _, args, result, ...rest } = row;
  const { threadId, runId, node } = place;
  return {
    ...rest,
    ...{ threadId, runId, node },
    args: store.deserialize(args),
    result: result === undefined ? undefined : store.deserialize(result),
    abandoned: row.state === "claimed" && isAbandoned(row, now),
  };
}

function isAbandoned({ expiresAt, process }: EffectRow, now: number): boolean {
  return (expiresAt !== undefined && expiresAt <= now) || systemProcesses.isDead(process);
}
