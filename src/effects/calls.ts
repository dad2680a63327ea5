/**
 * The calls of one execution of a node: which of equal ones each is, and which are in flight.
 *
 * Invariants
 *   C1  An attempt counts anew: its first call is the first call of the attempt before.
 *   C2  A call is counted when it is made, before anything is waited for: so `Promise.all` gives the same
 *       numbers each time.
 *   C3  Where it cannot be told which attempt a call belongs to, none is taken for another: it is refused.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { InvalidInputError } from "../errors.ts";
import { randomTag } from "../ids.ts";
import { currentAttempt, type AttemptContext, type NodeContext } from "../context.ts";

/** One attempt of a node, as far as calls can tell it. */
export interface Round {
  /** Told apart from all other rounds of the same task, in all processes. */
  readonly tag: string;
  /** Identities of its calls without a key. */
  readonly visited: Set<string>;
}

interface CallUnderWay {
  /** For the others to settle, or for a call within it that does. */
  isWaiting: boolean;
  /** The call that it is made within. */
  around: CallUnderWay | undefined;
  /** When it is over, whatever it came to. */
  settled: Promise<unknown>;
}

const around = new AsyncLocalStorage<CallUnderWay>();

export class Execution {
  /** Calls under way. */
  readonly #inFlight = new Set<CallUnderWay>();
  readonly #rounds = new Map<number | undefined, Round>();
  /** By call, the attempts that made it. */
  readonly #made = new Map<string, (number | undefined)[]>();

  /** @param attempt undefined for one after the first, nobody knows which */
  round(attempt: number | undefined): Round {
    const round = this.#rounds.get(attempt) ?? {
      tag: randomTag() + randomTag(),
      visited: new Set(),
    };
    this.#rounds.set(attempt, round);
    return round;
  }

  /** Runs a call, which parking waits for: here, and in the attempt around. */
  async track<T>(work: () => Promise<T>): Promise<T> {
    const attempt = currentAttempt();
    const outer = around.getStore();
    const call: CallUnderWay = { isWaiting: false, around: outer, settled: Promise.resolve() };
    const working = around.run(call, work);
    call.settled = working.catch(() => undefined);
    this.#inFlight.add(call);
    attempt?.inFlight.add(working);
    try {
      return await working;
    } finally {
      this.#inFlight.delete(call);
      attempt?.inFlight.delete(working);
    }
  }

  /** Settles once all calls under way have settled, but for those that wait here, or for this one. */
  async othersSettled(): Promise<void> {
    for (let own = around.getStore(); own !== undefined; own = own.around) own.isWaiting = true;
    for (;;) {
      const others = [...this.#inFlight].filter(({ isWaiting }) => !isWaiting);
      if (others.length === 0) return;
      await Promise.race(others.map(({ settled }) => settled));
    }
  }

  /** Which of an attempt's equal calls this one is: 0 for the first. */
  occurrenceOf(call: string, attempt: number | undefined, name: string): number {
    const made = this.#made.get(call) ?? [];
    const isUnclear =
      made.includes(undefined) || (attempt === undefined && made.some((other) => other !== 1));
    if (isUnclear) throw new InvalidInputError(unclear(name));
    return this.countOf(call, attempt);
  }

  /** The same for calls that may be made once too often: where it is unclear, it is another call. */
  countOf(call: string, attempt: number | undefined): number {
    const made = this.#made.get(call) ?? [];
    this.#made.set(call, [...made, attempt]);
    return made.filter((other) => other === attempt).length;
  }
}

function unclear(name: string): string {
  return (
    `"${name}" was called again with the same arguments, in a tool or runnable of a node that LangGraph ` +
    "runs again: whether it is another effect, or the same one, cannot be told. Give each its key " +
    "(`(args, { key })`), or wrap the node in durable()."
  );
}

const executions = new WeakMap<object, Execution>();

/** The execution that a call belongs to, and which attempt of it. */
export function executionOf(node: NodeContext): {
  execution: Execution;
  attempt: number | undefined;
} {
  const durable = attemptOf(node);
  const owner: object = durable ?? node.execution;
  const execution = executions.get(owner) ?? new Execution();
  executions.set(owner, execution);
  return { execution, attempt: durable === undefined ? attemptOfLangGraph(node) : 1 };
}

/** The attempt of this very node: around a subgraph it may be one of an outer node. */
export function attemptOf(node: NodeContext): AttemptContext | undefined {
  const attempt = currentAttempt();
  return attempt?.node.task.taskId === node.task.taskId ? attempt : undefined;
}

/**
 * LangGraph's own retry runs a node again in the same execution. A node's config counts the attempts; that
 * of a tool only tells the first from others, and from those of a run that was resumed.
 */
function attemptOfLangGraph({ config }: NodeContext): number | undefined {
  const { executionInfo } = config as { executionInfo?: { nodeAttempt?: number } };
  if (executionInfo?.nodeAttempt !== undefined) return executionInfo.nodeAttempt;
  return config.configurable?.["__pregel_resuming"] === true ? undefined : 1;
}
