/** The port between leases and a database: columns of the thread's row. */

export interface LeaseRow {
  owner: string;
  token: number;
  expiresAt: number;
}

export interface LeaseClaim {
  owner: string;
  /** An owner that is known to be gone. */
  dead: string | undefined;
  now: number;
  expiresAt: number;
}

export interface LeaseRows {
  /**
   * Takes the lease if it is free, expired at `now`, the same owner's or a dead one's, with the next
   * token.
   * @param thread the thread's key
   * @returns the lease as it stands afterwards, whoever has it; undefined where the thread is gone
   */
  take(thread: Uint8Array, claim: LeaseClaim): Promise<LeaseRow | undefined>;
  /** @returns false where that token is not the newest, was given back, or had expired at `now` */
  extend(
    thread: Uint8Array,
    token: number,
    times: { now: number; expiresAt: number },
  ): Promise<boolean>;
  giveBack(thread: Uint8Array, token: number): Promise<void>;
  read(thread: Uint8Array): Promise<LeaseRow | undefined>;
  /** The newest token, also of a lease that was given back; undefined where the thread is gone. */
  tokenOf(thread: Uint8Array): Promise<number | undefined>;
}
