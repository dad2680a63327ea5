/** Leases that are kept for as long as work is under way. */

import type { Clock } from "../clock.ts";

/**
 * Renews a lease three times in its length, until told to stop. @returns stops it
 *
 * A renewal that fails (the database is away) is made up for by the next; if none comes through, the
 * lease ends, and others take this process for dead: that is what leases are for.
 */
export function keepRenewing(
  clock: Clock,
  lease: number,
  renew: () => Promise<unknown>,
): () => void {
  const over = new AbortController();
  const { signal } = over;
  void (async () => {
    while (!signal.aborted) {
      await clock.sleep(lease / 3, signal).catch(() => undefined);
      if (!signal.aborted) await renew().catch(() => undefined);
    }
  })();
  return () => over.abort();
}
