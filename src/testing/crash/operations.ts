/** The durable operations of this process: numbered, noted, and the end of it where so ordered. */

import { AsyncLocalStorage } from "node:async_hooks";
import { openSync, writeSync } from "node:fs";
import process from "node:process";
import type { Note, Orders, Side } from "./orders.ts";

const FRAMES = 40;

/** The calls that led to work which others do later: what pools and fetch's queue send. */
const origin = new AsyncLocalStorage<string>();

/** Remembers who asks, for the operations that come of it. */
export function rememberStack<T>(work: () => T): T {
  return origin.run(stackHere(), work);
}

export class Operations {
  readonly #orders: Orders;
  readonly #log: number;
  #count = 0;

  constructor(orders: Orders) {
    this.#orders = orders;
    this.#log = openSync(orders.log, "a");
  }

  /** To be called before an operation is sent. @returns to be called once it has taken effect */
  begin(what: string): () => void {
    this.#count += 1;
    const stack = [stackHere(), origin.getStore()].filter(Boolean).join("\n");
    const operation = this.#count;
    const { kill } = this.#orders;
    const isMine = kill?.operation === operation;
    this.#note({ operation, what, ...(kill === undefined && { stack }) });
    const dieOn = (side: Side): void => {
      if (!isMine || kill.side !== side) return;
      this.#note({ operation, what, stack, killed: side });
      process.kill(process.pid, "SIGKILL");
      // The signal may need a moment; nothing of the program may run in it.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    };
    dieOn("before");
    return () => dieOn("after");
  }

  #note(note: Note): void {
    writeSync(this.#log, `${JSON.stringify(note)}\n`);
  }
}

const NOT_THE_PROGRAM = /node:|\/testing\/crash\/|\/node_modules\/(pg|pg-pool|undici)\//;

/** The calls that lead here, without Node's own, the drivers' and the crash matrix's. */
function stackHere(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = FRAMES;
  const { stack = "" } = new Error("here");
  Error.stackTraceLimit = stackTraceLimit;
  return stack
    .split("\n")
    .slice(1)
    .filter((line) => !NOT_THE_PROGRAM.test(line))
    .join("\n");
}
