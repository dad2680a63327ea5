import { isHoldfastError } from "../errors.ts";

/** True for what is not a run's own failure: it says nothing about the run, which goes on elsewhere or later. */
export function isForeign(error: unknown): boolean {
  return ["LEASE_LOST", "DATABASE_UNAVAILABLE", "THREAD_GONE", "SCHEMA_TOO_NEW"].some((code) =>
    isHoldfastError(error, code),
  );
}
