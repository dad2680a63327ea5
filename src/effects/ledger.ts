/**
 * The protocol by which an effect happens once: claim (durable), run, record (durable).
 *
 * States of a row: claimed -> recorded | unknown | released; unknown -> claimed -> ...; recorded -> closed
 * (undone). What is done about each is decided in decide.ts; how rows are held is in claim.ts.
 *
 * Invariants
 *   L1  Nothing is performed but under a claim that is durable, whose checkpoint is durable.
 *   L2  A result is returned only once it is recorded, by this call or another one.
 *   L3  An attempt that failed without proof that nothing was done is unknown, and met as its author
 *       declared; only with proof it is tried again freely.
 *   L4  Whoever lost a claim writes nothing under it, and takes what became of the row since.
 *   L5  Calls of one identity at the same time perform it once: the others wait for the result.
 */

import { orAborted } from "../abort.ts";
import { canonicalText } from "../canonical.ts";
import type { Clock } from "../clock.ts";
import type { EffectRow, EffectStore, WrittenRow } from "../effect-store.ts";
import { events } from "../events.ts";
import type { Processes } from "../process.ts";
import { Claim, newVersion } from "./claim.ts";
import { decide, resolutionOf, type Facts } from "./decide.ts";
import { idempotencyKeyOf } from "./key.ts";
import type { LedgerCall, LedgerEffect, Outcome, Rules } from "./protocol.ts";
import { Tries, tellUnknown, traitsOf } from "./tries.ts";

/** The first and the longest pause between two looks at another process's claim. */
const FIRST_LOOK = 20;
const LAST_LOOK = 1_000;

export class Ledger {
  readonly #store: EffectStore;
  readonly #clock: Clock;
  readonly #processes: Processes;
  readonly #rules: Rules;
  /** Calls under way in this process, by identity. */
  readonly #running = new Map<string, Promise<unknown>>();
  /** Claims of ours that ended without being settled: the database was away. */
  readonly #abandoned = new Set<string>();

  constructor(
    store: EffectStore,
    clock: Clock,
    processes: Processes,
    rules: Rules = { decide, resolutionOf },
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#processes = processes;
    this.#rules = rules;
  }

  /** The result of an effect: recorded, or performed now. */
  async perform(effect: LedgerEffect, first: LedgerCall): Promise<unknown> {
    let call = first;
    // A new one is the common case: it is claimed without looking.
    let row: EffectRow | undefined;
    let now = 0;
    let refused: number | undefined;
    for (let pause = FIRST_LOOK; ;) {
      call.signal?.throwIfAborted();
      const step = this.#rules.decide(row, this.#facts(call, row, now));
      let outcome: Outcome = "lost";
      switch (step.do) {
        case "begin":
          if (refused === step.generation) {
            call = await call.onRefused(call);
            refused = undefined;
          } else {
            outcome = await this.#begin(effect, call, step.generation);
            refused = outcome === "lost" ? step.generation : undefined;
          }
          break;
        case "again":
          outcome = await this.#take(effect, call, row as EffectRow, "run");
          break;
        case "resolve":
          outcome = await this.#resolve(effect, call, row as EffectRow, now);
          break;
        case "return":
          return this.#reuse(call, row as EffectRow);
        case "conflict":
          call = await call.onConflict(row as EffectRow, call);
          refused = undefined;
          break;
        case "wait":
          await this.#wait(call, pause, step.until === undefined ? pause : step.until - now);
          pause = Math.min(pause * 2, LAST_LOOK);
          break;
      }
      if (outcome !== "lost") return outcome.value;
      ({ row, now } = await this.#store.latest(call.identity));
      if (row !== undefined && call.conditions.unlessForked === true) {
        // The branch may mean another row.
        const { identity } = call;
        call = await call.onRefused(call);
        refused = undefined;
        if (call.identity !== identity) ({ row, now } = await this.#store.latest(call.identity));
      }
    }
  }

  #facts(call: LedgerCall, row: EffectRow | undefined, now: number): Facts {
    return {
      now,
      sameArgs: row === undefined || this.#sameArgs(row.args, call.args),
      abandoned:
        row !== undefined &&
        (this.#abandoned.has(row.version) ||
          this.#processes.isDead(row.process) ||
          hasLostLease(row, call)),
    };
  }

  #sameArgs(one: string, other: string): boolean {
    if (one === other) return true;
    const text = (args: string): string => canonicalText(this.#store.deserialize(args));
    return text(one) === text(other);
  }

  /** Until a call of this process is over, or for a while. */
  async #wait({ identity, signal }: LedgerCall, pause: number, longest: number): Promise<void> {
    const running = this.#running.get(identity);
    if (running === undefined) {
      await this.#clock.sleep(Math.max(1, Math.min(pause, longest)), signal);
    } else {
      await orAborted(running, signal);
    }
  }

  #reuse(call: LedgerCall, row: EffectRow): unknown {
    const { name: effect, idempotencyKey } = row;
    events.emit("effect.reused", { ...call.origin, effect, idempotencyKey });
    return this.#store.deserialize(row.result ?? "null");
  }

  async #begin(effect: LedgerEffect, call: LedgerCall, generation: number): Promise<Outcome> {
    const { kind, name, undoable } = effect;
    const { identity, scope, key, place, args } = call;
    const written: WrittenRow = {
      ...{ identity, generation, kind, name, scope, key, place, args, undoable },
      idempotencyKey: idempotencyKeyOf(identity, generation),
      state: "claimed",
      process: this.#processes.own,
      leaseToken: call.leaseToken,
      attempts: 1,
      result: undefined,
      error: undefined,
      reason: undefined,
    };
    const { conditions } = call;
    const claim = await Claim.make(
      this.#store,
      this.#clock,
      { row: written, replaces: undefined, sent: "now", ...conditions },
      undefined,
    );
    return this.#hold(effect, call, claim, "run");
  }

  /** Takes a row that nobody holds. @param sent whether it may have been performed before */
  async #take(
    effect: LedgerEffect,
    call: LedgerCall,
    row: EffectRow,
    then: "run" | "reconcile",
    sent: "now" | "before" = row.sentAt === undefined ? "now" : "before",
  ): Promise<Outcome> {
    const claim = await Claim.make(
      this.#store,
      this.#clock,
      {
        row: {
          ...row,
          place: call.place,
          args: call.args,
          state: "claimed",
          process: this.#processes.own,
          leaseToken: call.leaseToken,
          attempts: row.attempts + (then === "run" ? 1 : 0),
          undoable: effect.undoable,
          result: undefined,
          error: row.error,
        },
        replaces: row.version,
        expiredAt: expiryOf(row),
        sent,
      },
      sent === "now" ? undefined : row.sentAt,
    );
    return this.#hold(effect, call, claim, then);
  }

  /** Runs under a claim, which others of this process can wait for. */
  async #hold(
    effect: LedgerEffect,
    call: LedgerCall,
    claim: Claim | undefined,
    then: "run" | "reconcile",
  ): Promise<Outcome> {
    if (claim === undefined) return "lost";
    const { name, idempotencyKey } = claim.row;
    events.emit("effect.claimed", { ...call.origin, effect: name, idempotencyKey });
    const over = Promise.withResolvers<void>();
    this.#running.set(call.identity, over.promise);
    void claim.keep();
    try {
      return await new Tries(this.#store, this.#clock, effect, call, claim, this.#rules).go(then);
    } finally {
      claim.drop();
      if (!claim.isSettled) this.#abandoned.add(claim.version);
      if (this.#running.get(call.identity) === over.promise) this.#running.delete(call.identity);
      over.resolve();
    }
  }

  async #resolve(
    effect: LedgerEffect,
    call: LedgerCall,
    row: EffectRow,
    now: number,
  ): Promise<Outcome> {
    const answer = this.#rules.resolutionOf(traitsOf(effect), row.sentAt, now);
    tellUnknown(call, row, answer);
    switch (answer) {
      case "reconcile":
        return this.#take(effect, call, row, "reconcile");
      case "repeat":
        return this.#take(effect, call, row, "run");
      case "ask":
        return this.#ask(effect, call, row);
    }
  }

  async #ask(effect: LedgerEffect, call: LedgerCall, row: EffectRow): Promise<Outcome> {
    if (row.state === "claimed") return this.#markUnknown(call, row);
    const said = await call.ask(row);
    if (said.outcome !== "done") {
      return this.#take(effect, call, row, "run", said.outcome === "not-done" ? "now" : "before");
    }
    const what = `result of "${row.name}", as answered`;
    const result = this.#store.serialize(said.result, what, call.place.node);
    const claim = await Claim.make(
      this.#store,
      this.#clock,
      {
        row: {
          ...row,
          state: "claimed",
          process: this.#processes.own,
          leaseToken: call.leaseToken,
        },
        replaces: row.version,
        sent: "before",
      },
      row.sentAt,
    );
    if (claim === undefined) return "lost";
    const recorded = await claim.settle({ state: "recorded", result, sent: "before" });
    return recorded ? { value: this.#store.deserialize(result) } : "lost";
  }

  /** For whoever lists the ledger: nobody is at work on it. */
  async #markUnknown({ leaseToken }: LedgerCall, row: EffectRow): Promise<Outcome> {
    await this.#store.write({
      row: { ...row, leaseToken, state: "unknown" },
      replaces: row.version,
      expiredAt: expiryOf(row),
      version: newVersion(),
      claims: false,
      expiresIn: undefined,
      sent: "before",
    });
    return "lost";
  }
}

/** Of a claim that is taken over: whoever has it may have renewed it in between. */
function expiryOf({ state, expiresAt }: EffectRow): number | undefined {
  return state === "claimed" ? expiresAt : undefined;
}

/** Its thread's lease was acquired since: who claimed it can write nothing any more. */
function hasLostLease(row: EffectRow, { leaseToken, place }: LedgerCall): boolean {
  return (
    leaseToken !== undefined &&
    row.leaseToken !== undefined &&
    row.place.threadId === place.threadId &&
    row.leaseToken < leaseToken
  );
}
