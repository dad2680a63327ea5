/**
 * Scripted faults: what goes wrong, for which requests, how often.
 *
 * A script is a list in the order in which it was written. Each request takes the first fault that
 * is due for it, and is answered well when there is none.
 */

import { InvalidInputError } from "../errors.ts";
import type { EmbeddingRequest } from "./embeddings.ts";
import type { ChatRequest } from "./wire.ts";

/** An HTTP error. */
export interface StatusFault {
  status: number;
  headers?: Record<string, string>;
  /** Sent as it is (a string) or as JSON; default: what OpenAI sends with this status. */
  body?: unknown;
}

/** The server accepts the request and never answers; `"midway"`: falls silent within the answer. */
export interface HangFault {
  hang: true | "midway";
}

/** The connection breaks in the middle of the answer, streamed or not. */
export interface CutFault {
  cut: true;
}

/** A right answer, this many milliseconds late. */
export interface DelayFault {
  delay: number;
}

export type FaultKind = StatusFault | HangFault | CutFault | DelayFault;

/** Which requests a fault hits. */
export interface Scripted<Request> {
  /** How many requests it hits; default 1, `Infinity` for an outage. */
  times?: number;
  /** How many requests it lets through first; default 0. */
  after?: number;
  /** Only requests for which this is true count, for `after` and `times` alike; default: all. */
  when?: (request: Request) => boolean;
}

/** What goes wrong with a chat completion. */
export type Fault = FaultKind & Scripted<ChatRequest> & { on?: "chat" };

/** What goes wrong with embeddings. */
export type EmbeddingFault = FaultKind & Scripted<EmbeddingRequest> & { on: "embeddings" };

interface Entry<Fault> {
  fault: Fault;
  /** Matching requests so far. */
  seen: number;
  /** How many it still hits. */
  left: number;
}

export class FaultScript<Request, Fault extends Scripted<Request>> {
  readonly #faults: Entry<Fault>[] = [];

  /** Adds a fault; the function returned takes it back, as when an outage ends. */
  add(fault: Fault): () => void {
    const { times = 1, after = 0 } = fault;
    if (!(times >= 1)) throw new InvalidInputError(`times must be 1 or more, not ${times}`);
    if (!(after >= 0)) throw new InvalidInputError(`after must be 0 or more, not ${after}`);
    const entry: Entry<Fault> = { fault, seen: 0, left: times };
    this.#faults.push(entry);
    return () => {
      entry.left = 0;
    };
  }

  /** The fault that this request meets, if any. */
  take(request: Request): Fault | undefined {
    let due: Entry<Fault> | undefined;
    for (const entry of this.#faults) {
      if (entry.left === 0 || entry.fault.when?.(request) === false) continue;
      entry.seen += 1;
      if (entry.seen > (entry.fault.after ?? 0)) due ??= entry;
    }
    if (due) due.left -= 1;
    return due?.fault;
  }
}
