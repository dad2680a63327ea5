/**
 * A small world in which several processes call one effect, and everything that may go wrong does when a
 * list of numbers says so: a process dies before or after any store operation or at any moment of the
 * effect itself, connections break, time passes. The ledger and the SQLite store are the real ones.
 *
 * Assumed, as the protocol does: who is alive renews its claims in time while it performs something.
 */

import { setImmediate as turn } from "node:timers/promises";
import { SqliteSaver } from "../../../checkpointers/sqlite/index.ts";
import type { EffectStore, EffectWrite } from "../../../src/effect-store.ts";
import { CLAIM_DURATION } from "../../../src/effects/claim.ts";
import { Ledger } from "../../../src/effects/ledger.ts";
import { decide, resolutionOf } from "../../../src/effects/decide.ts";
import type { Rules } from "../../../src/effects/protocol.ts";
import { isHoldfastError } from "../../../src/errors.ts";
import { ManualClock } from "../../../src/testing/manual-clock.ts";
import { effectOf, keyedCall, MadeUpProcesses } from "./ledger.ts";

export type Kind = "reconcile" | "repeat" | "ask";

/** What a mutant changes. */
export interface Mutant {
  rules?: Rules;
  store?(store: EffectStore): Partial<EffectStore>;
}

export interface Scenario {
  kind: Kind;
  /** Whether dead processes are known to be dead, or only silent. */
  local: boolean;
  /** What happens, in order. */
  choices: readonly number[];
  mutant?: Mutant;
}

/** Somebody who waits for what the test lets happen next. */
interface Waiting {
  process: string;
  go: () => void;
}

const never = new Promise<never>(() => undefined);

/** A sentence for each promise that was broken. */
export async function simulate(scenario: Scenario): Promise<string[]> {
  return new Simulation(scenario).run();
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #clock = new ManualClock();
  readonly #processes = new MadeUpProcesses();
  readonly #saver = SqliteSaver.fromConnString(":memory:", { clock: this.#clock });
  readonly #store = this.#saver.steps.effects as EffectStore;
  readonly #broken: string[] = [];
  #waiting: Waiting[] = [];
  readonly #killed = new Set<string>();
  #alive: string[] = [];
  #next = 0;
  /** How often the world performed it, and under which keys. */
  #performed = 0;
  readonly #keys = new Set<string>();
  readonly #returned: unknown[] = [];
  #failures = 0;
  #calm = false;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
  }

  async run(): Promise<string[]> {
    await this.#saver.setup();
    const { choices } = this.#scenario;
    this.#start();
    for (let i = 0; i < choices.length; i += 1) {
      await this.#settle();
      await this.#act(choices[i] as number);
    }
    await this.#end();
    await this.#saver.end();
    return this.#broken;
  }

  async #act(choice: number): Promise<void> {
    const kind = choice % 8;
    const which = Math.floor(choice / 8);
    if (kind === 0 && this.#alive.length < 3) this.#start();
    else if (kind === 1 && this.#alive.length > 0) this.#kill(which);
    else if (kind === 2) await this.#pass(which % 2 === 0 ? 1_000 : CLAIM_DURATION);
    else this.#let(which);
  }

  /** Lets one of those who wait go on. */
  #let(which: number): void {
    const at = this.#waiting.length === 0 ? -1 : which % this.#waiting.length;
    const [waiting] = at < 0 ? [] : this.#waiting.splice(at, 1);
    waiting?.go();
  }

  #start(): void {
    const process = `process ${this.#next}`;
    this.#next += 1;
    this.#alive.push(process);
    const store = this.#storeOf(process);
    const ledger = new Ledger(
      store,
      this.#clock,
      this.#processes.of(process),
      this.#scenario.mutant?.rules,
    );
    const { kind } = this.#scenario;
    const effect = effectOf(({ idempotencyKey }) => this.#perform(process, idempotencyKey), {
      onUnknown: kind === "repeat" ? "repeat" : "ask",
      reconcile: kind === "reconcile" ? () => this.#lookUp(process) : undefined,
    });
    ledger.perform(effect, keyedCall(this.#store, "k")).then(
      (value) => this.#returns(process, value),
      (error: unknown) => this.#fails(process, error),
    );
  }

  #kill(which: number): void {
    const [process] = this.#alive.splice(which % this.#alive.length, 1);
    if (process === undefined) return;
    this.#killed.add(process);
    if (this.#scenario.local) this.#processes.dead.add(process);
    this.#waiting = this.#waiting.filter((one) => one.process !== process);
  }

  /** A moment at which the process may be stopped for ever. */
  #moment(process: string): Promise<void> {
    if (this.#killed.has(process)) return never;
    if (this.#calm) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push({ process, go: resolve });
    });
  }

  #storeOf(process: string): EffectStore {
    const real = this.#store;
    const changed = this.#scenario.mutant?.store?.(real) ?? {};
    const around =
      <Args extends unknown[], Result>(work: (...args: Args) => Promise<Result>) =>
      async (...args: Args): Promise<Result> => {
        await this.#moment(process);
        const result = await work(...args);
        await this.#moment(process);
        return result;
      };
    const write = (one: EffectWrite): Promise<boolean> =>
      (changed.write ?? real.write.bind(real))(one);
    const guarded = around(write);
    return {
      serialize: real.serialize.bind(real),
      deserialize: real.deserialize.bind(real),
      settled: () => Promise.resolve(),
      // Who is alive renews in time; who is dead does not.
      write: (one) => {
        const isRenewal = one.replaces === one.version;
        if (!isRenewal) return guarded(one);
        return this.#killed.has(process) ? never : write(one);
      },
      latest: around((identity: string) => real.latest(identity)),
      list: real.list.bind(real),
      lineage: real.lineage.bind(real),
      isStored: real.isStored.bind(real),
      mark: real.mark.bind(real),
      marks: real.marks.bind(real),
      transact: real.transact.bind(real),
      expireRequests: real.expireRequests.bind(real),
    };
  }

  async #perform(process: string, key: string): Promise<string> {
    await this.#moment(process);
    const failure = this.#failure();
    if (failure === "refused") throw Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
    if (failure === "lost before") throw Object.assign(new Error("reset"), { code: "ECONNRESET" });
    await this.#checkClaim(process);
    this.#performed += 1;
    this.#keys.add(key);
    const receipt = `receipt ${this.#performed}`;
    await this.#moment(process);
    if (failure === "lost after") throw Object.assign(new Error("reset"), { code: "ECONNRESET" });
    return receipt;
  }

  /** Every few times the connection fails, in turns. */
  #failure(): "refused" | "lost before" | "lost after" | undefined {
    if (this.#calm) return undefined;
    this.#failures += 1;
    const { choices } = this.#scenario;
    const dice = (choices[this.#failures % choices.length] ?? 0) % 12;
    if (dice === 0) return "refused";
    if (dice === 1) return "lost before";
    return dice === 2 ? "lost after" : undefined;
  }

  /** Nothing is performed but under a claim that is durable; what is recorded is not performed again. */
  async #checkClaim(process: string): Promise<void> {
    const { row } = await this.#store.latest(keyedCall(this.#store, "k").identity);
    if (row?.state === "recorded") this.#broken.push("performed though it was recorded");
    else if (row?.state !== "claimed" || row.process !== process) {
      this.#broken.push(`performed by ${process} without a claim: ${row?.state} ${row?.process}`);
    }
  }

  async #lookUp(process: string): Promise<{ done: true; result: string } | { done: false }> {
    await this.#moment(process);
    const found = this.#performed > 0;
    await this.#moment(process);
    return found ? { done: true, result: `receipt ${this.#performed}` } : { done: false };
  }

  #returns(process: string, value: unknown): void {
    if (this.#killed.has(process)) return;
    this.#alive = this.#alive.filter((one) => one !== process);
    if (this.#performed === 0) this.#broken.push("returned, and never performed");
    this.#returned.push(value);
  }

  #fails(process: string, error: unknown): void {
    this.#alive = this.#alive.filter((one) => one !== process);
    const { code } = error as { code?: string };
    const isExpected =
      isHoldfastError(error, "EFFECT_UNKNOWN") || code?.startsWith("ECONN") === true;
    if (!isExpected) this.#broken.push(`failed: ${String(error)}`);
    if (isHoldfastError(error, "EFFECT_UNKNOWN") && this.#scenario.kind !== "ask") {
      this.#broken.push("asked a person needlessly");
    }
  }

  async #pass(duration: number): Promise<void> {
    for (let passed = 0; passed < duration; passed += CLAIM_DURATION / 6) {
      await this.#clock.advance(Math.min(CLAIM_DURATION / 6, duration - passed));
      await this.#settle();
    }
  }

  async #settle(): Promise<void> {
    for (let turns = 0; turns < 4; turns += 1) await turn();
  }

  /** Everything calms down: all go on, and one more process calls. */
  async #end(): Promise<void> {
    this.#calm = true;
    for (const { go } of this.#waiting.splice(0)) go();
    await this.#settle();
    this.#start();
    for (let rounds = 0; rounds < 40 && this.#alive.length > 0; rounds += 1) {
      await this.#settle();
      await this.#pass(CLAIM_DURATION / 3);
    }
    if (this.#alive.length > 0) this.#broken.push("somebody waits for ever");
    const { kind } = this.#scenario;
    if (kind !== "repeat" && this.#performed > 1) {
      this.#broken.push(`performed ${this.#performed} times`);
    }
    if (this.#keys.size > 1) this.#broken.push("performed under several keys");
    if (new Set(this.#returned).size > 1) {
      this.#broken.push(`returned different results: ${this.#returned.join(", ")}`);
    }
    if (kind !== "ask" && this.#returned.length === 0) this.#broken.push("nobody got a result");
  }
}

/** Protocols that break what is promised; the simulation must find out. */
export const MUTANTS: Record<string, Mutant> = {
  "records before it performs": {
    store: (store) => ({
      write: (write) => {
        const isFirst = write.claims && write.replaces === undefined;
        if (!isFirst) return store.write(write);
        const row = { ...write.row, state: "recorded", result: '"receipt 1"' } as const;
        return store.write({ ...write, row, expiresIn: undefined });
      },
    }),
  },
  "claims nothing": {
    store: (store) => ({
      write: (write) => (write.claims ? Promise.resolve(true) : store.write(write)),
    }),
  },
  "ignores that claims expire": {
    rules: {
      resolutionOf,
      decide: (row, facts) =>
        row?.state === "claimed" ? { do: "wait", until: undefined } : decide(row, facts),
    },
  },
  "ignores that claims are held": {
    rules: {
      resolutionOf,
      decide: (row, facts) => (row?.state === "claimed" ? { do: "resolve" } : decide(row, facts)),
    },
  },
  "takes over a claim that was renewed in between": {
    store: (store) => ({ write: (write) => store.write({ ...write, expiredAt: undefined }) }),
  },
  "repeats what is unknown": {
    rules: {
      resolutionOf,
      decide: (row, facts) => {
        const step = decide(row, facts);
        return step.do === "resolve" ? { do: "again" } : step;
      },
    },
  },
  "ignores what is recorded": {
    rules: {
      resolutionOf,
      decide: (row, facts) => {
        const step = decide(row, facts);
        return step.do === "return" ? { do: "again" } : step;
      },
    },
  },
  "never looks up": {
    rules: { decide, resolutionOf: () => "repeat" },
  },
};
