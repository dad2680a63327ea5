/**
 * A row that this process holds: renewed while something happens under it, and given up by what it
 * became.
 *
 * Invariants
 *   K1  Every write names the version it replaces. A refused one means that somebody else has taken the
 *       row since: the claim is lost, and nothing is written under it any more.
 *   K2  While it is held it is renewed well before it expires, and nothing is begun under one that may
 *       have expired.
 */

import type { Clock } from "../clock.ts";
import { isHoldfastError } from "../errors.ts";
import { randomTag } from "../ids.ts";
import type { EffectState, EffectStore, EffectWrite, WrittenRow } from "../effect-store.ts";

/** How long a claim lasts without being renewed, in milliseconds. */
export const CLAIM_DURATION = 30_000;

/** What a claim becomes. */
export interface Settled {
  state: Exclude<EffectState, "claimed">;
  /** Serialized. */
  result?: string | undefined;
  error?: string | undefined;
  /** Times that it was begun; as claimed by default. */
  attempts?: number;
  /** Kept from before, or forgotten: it was certainly not performed. */
  sent: "no" | "before";
  closes?: EffectWrite["closes"];
  /** When it counts no more, from now on; default never. */
  expiresIn?: number | undefined;
}

export class Claim {
  readonly #store: EffectStore;
  readonly #clock: Clock;
  readonly row: WrittenRow;
  /** When it was first begun; by this machine's clock where that was now. */
  readonly sentAt: number;
  /** It may have been performed before. */
  readonly wasSent: boolean;
  readonly #version: string;
  #isSettled = false;
  /** By this machine's clock, when it was last sure to be ours. */
  #heldAt: number;
  readonly #lost = new AbortController();
  readonly #over = new AbortController();

  private constructor(
    store: EffectStore,
    clock: Clock,
    row: WrittenRow,
    version: string,
    sentAt: number,
    wasSent: boolean,
    heldAt: number,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.row = row;
    this.#version = version;
    this.sentAt = sentAt;
    this.wasSent = wasSent;
    this.#heldAt = heldAt;
  }

  /**
   * Claims a row that is new, or at the version given.
   * @returns undefined where it is refused
   */
  static async make(
    store: EffectStore,
    clock: Clock,
    write: Omit<EffectWrite, "version" | "claims" | "expiresIn" | "closes">,
    /** When it was begun before, for all that is known; undefined where it certainly was not. */
    sentAt: number | undefined,
  ): Promise<Claim | undefined> {
    const version = newVersion();
    const now = clock.now();
    const claimed = { ...write, version, claims: true, expiresIn: CLAIM_DURATION };
    if (!(await store.write(claimed))) return undefined;
    return new Claim(store, clock, write.row, version, sentAt ?? now, sentAt !== undefined, now);
  }

  /** Which claim it is, among all of a row. */
  get version(): string {
    return this.#version;
  }

  /** Aborts when somebody else has taken the row. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /**
   * Makes sure that it will last: a process that stood still may have lost it. Without effect where it
   * was renewed lately.
   */
  async ensure(): Promise<void> {
    if (this.#clock.now() - this.#heldAt > CLAIM_DURATION / 2) await this.#renew();
  }

  /** Renews the claim until it is settled. */
  async keep(): Promise<void> {
    while (!this.#over.signal.aborted) {
      try {
        await this.#clock.sleep(CLAIM_DURATION / 3, this.#over.signal);
      } catch {
        return;
      }
      await this.#renew();
    }
  }

  async #renew(): Promise<void> {
    const write: EffectWrite = {
      row: this.row,
      replaces: this.#version,
      version: this.#version,
      claims: false,
      expiresIn: CLAIM_DURATION,
      sent: "before",
    };
    const now = this.#clock.now();
    try {
      if (await this.#store.write(write)) this.#heldAt = now;
      else if (!this.#over.signal.aborted) {
        this.#lost.abort(new Error(`The claim on "${this.row.name}" was lost to another process.`));
      }
    } catch (error) {
      if (isHoldfastError(error, "LEASE_LOST")) this.#lost.abort(error);
      // The database is away: what is under way goes on, and the next renewal may succeed.
    }
  }

  /** Whether the row tells what became of the claim, to whoever may have it now. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** @returns false where it was lost */
  async settle(settled: Settled): Promise<boolean> {
    const { state, result, error, sent, attempts, closes, expiresIn } = settled;
    this.#over.abort();
    const version = newVersion();
    const written = await this.#store.write({
      row: { ...this.row, state, result, error, attempts: attempts ?? this.row.attempts },
      replaces: this.#version,
      version,
      claims: false,
      expiresIn,
      sent,
      closes,
    });
    this.#isSettled = true;
    return written;
  }

  /** Stops renewing; the row stays as it is. */
  drop(): void {
    this.#over.abort();
  }
}

export function newVersion(): string {
  return randomTag() + randomTag();
}
