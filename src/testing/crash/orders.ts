/** What the crash matrix tells the processes that it starts, and what they tell it. */

/** Before an operation is sent, or once it has taken effect and nobody was told yet. */
export type Side = "before" | "after";

/** In the environment of the child, as JSON. */
export interface Orders {
  /** The file to which the child appends a line for each {@link Note}. */
  log: string;
  /** Where to die; without it, the operations are only counted. */
  kill?: { operation: number; side: Side };
}

/** A durable operation begins, counted from 1; or the process dies at one. */
export interface Note {
  operation: number;
  /** `COMMIT`, `INSERT INTO t`, `POST http://127.0.0.1:8080/refund`. */
  what: string;
  /** Where in the program; told in counting runs, and by who dies. */
  stack?: string;
  killed?: Side;
}

export const ORDERS_VARIABLE = "HOLDFAST_CRASH_MATRIX";
