/** Leases over a database's rows; its time decides when one has expired. */

import { LeaseLostError, ThreadBusyError } from "../../src/errors.ts";
import { keyOf } from "../../src/ids.ts";
import { processOf, type Processes } from "../../src/process.ts";
import type { Lease, LeaseStore } from "../../src/step-store.ts";
import type { LeaseRow } from "./lease-rows.ts";
import type { StepParts } from "./parts.ts";

/** What leases need beside the parts of all steps. */
export interface LeaseNeeds {
  processes: Processes;
  /** Makes the thread's row, where it has none yet. */
  makeThread(threadId: string): Promise<void>;
}

export class Leases implements LeaseStore {
  readonly #parts: StepParts;
  readonly #needs: LeaseNeeds;

  constructor(parts: StepParts, needs: LeaseNeeds) {
    this.#parts = parts;
    this.#needs = needs;
  }

  async acquire(threadId: string, owner: string, duration: number): Promise<Lease> {
    await this.#parts.ready();
    const { dialect } = this.#parts;
    await this.#needs.makeThread(threadId);
    let dead: string | undefined;
    for (;;) {
      const now = await dialect.now();
      const claim = { owner, dead, now, expiresAt: now + duration };
      const row = await dialect.leases.take(keyOf(threadId), claim);
      // Deleted meanwhile: whoever did that wanted nobody to write.
      if (row === undefined) throw new LeaseLostError(threadId, 0);
      if (row.owner === owner) return leaseOf(threadId, row);
      // On one machine nobody need wait for the lease of a process that is gone.
      if (row.owner === dead || !this.#needs.processes.isDead(processOf(row.owner))) {
        throw new ThreadBusyError(threadId, row.owner, row.expiresAt);
      }
      dead = row.owner;
    }
  }

  async renew(lease: Lease, duration: number): Promise<Lease> {
    await this.#parts.ready();
    const { dialect } = this.#parts;
    const { threadId, token } = lease;
    const now = await dialect.now();
    const expiresAt = now + duration;
    if (!(await dialect.leases.extend(keyOf(threadId), token, { now, expiresAt }))) {
      throw new LeaseLostError(threadId, token);
    }
    return { ...lease, expiresAt };
  }

  async release({ threadId, token }: Lease): Promise<void> {
    await this.#parts.ready();
    await this.#parts.dialect.leases.giveBack(keyOf(threadId), token);
  }

  async read(threadId: string): Promise<Lease | undefined> {
    await this.#parts.ready();
    const row = await this.#parts.dialect.leases.read(keyOf(threadId));
    return row === undefined ? undefined : leaseOf(threadId, row);
  }
}

function leaseOf(threadId: string, row: LeaseRow): Lease {
  return { threadId, owner: row.owner, token: row.token, expiresAt: row.expiresAt };
}
