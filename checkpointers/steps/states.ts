/**
 * Small states that many processes change by turns.
 *
 * A change is one transaction that holds the lock of the state's row, so all who decide on a key do so
 * one after the other, and who decides on different keys never waits for another.
 *
 * Invariants
 *   D1  Decisions of this process on one key that meet share a transaction: the n-th sees what the one
 *       before it left. They are committed together or not at all, and settle after that.
 *   D2  A decision that throws fails alone, and changes nothing.
 *   D3  Of breakers, which are asked much more often than they change, the state is looked at without a
 *       lock first; what leaves it as it is needs none. The look begins after the decision was asked
 *       for, and looks that meet are one query.
 */

import { CorruptDataError, InvalidInputError } from "../../src/errors.ts";
import { compareTexts, keyOf, keyPrefixOf } from "../../src/ids.ts";
import type {
  Decision,
  StateKey,
  StateKind,
  StateStore,
  StoredState,
} from "../../src/step-store.ts";
import { Gather } from "../gather.ts";
import type { StepParts } from "./parts.ts";
import type { StatePlace } from "./states-rows.ts";
import { fromText, threadIdOf, toText } from "./texts.ts";

type Decide = (state: unknown, now: number) => Decision<unknown, unknown>;

interface Look {
  state: string | undefined;
  now: number;
}

interface Waiting {
  decide: Decide;
  outcome: { result: unknown } | { error: unknown } | undefined;
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
}

export class States implements StateStore {
  readonly #parts: StepParts;
  /** Decisions that wait for their key's transaction; an entry is there while one is under way. */
  readonly #queues = new Map<string, Waiting[]>();
  /** A look that is asked for while another one is under way is at what comes after that. */
  readonly #looks: Record<StateKind, Gather<StatePlace, Look>>;

  constructor(parts: StepParts) {
    this.#parts = parts;
    const looks = (kind: StateKind): Gather<StatePlace, Look> =>
      new Gather((places) => parts.dialect.states.read(kind, places));
    this.#looks = {
      breakers: looks("breakers"),
      limits: looks("limits"),
      budgets: looks("budgets"),
    };
  }

  async decide<State, Result>(
    kind: StateKind,
    key: StateKey,
    decide: (state: State | undefined, now: number) => Decision<State, Result>,
  ): Promise<Result> {
    const place = placeOf(key);
    await this.#parts.ready();
    if (kind === "breakers") {
      const { state: text, now } = await this.#looks[kind].add(place);
      const { state, result } = decide(parsed(text) as State | undefined, now);
      if (state === undefined) return result;
    }
    const result = await this.#queued(kind, key, place, decide as Decide);
    return result as Result;
  }

  async read(kind: StateKind, key: StateKey): Promise<{ state: unknown; now: number }> {
    const place = placeOf(key);
    await this.#parts.ready();
    const { state, now } = await this.#looks[kind].add(place);
    return { state: parsed(state), now };
  }

  async list(
    kind: StateKind,
    { prefix = "", threadId }: { prefix?: string; threadId?: string } = {},
  ): Promise<StoredState[]> {
    const { dialect, cells, ready } = this.#parts;
    await ready();
    const rows = await dialect.states.list(kind, {
      prefix: keyPrefixOf(prefix),
      thread: threadId === undefined ? undefined : keyOf(threadId),
    });
    const found = await Promise.all(
      rows.map(async (row) => ({
        name: fromText(row.name),
        threadId:
          row.thread.length === 0 ? undefined : await threadIdOf(cells, row.thread, row.threadName),
        state: parsed(row.state),
        updatedAt: row.updatedAt,
      })),
    );
    return found
      .filter(({ name }) => name.startsWith(prefix))
      .toSorted(
        (a, b) => compareTexts(a.name, b.name) || compareTexts(a.threadId ?? "", b.threadId ?? ""),
      );
  }

  #queued(kind: StateKind, key: StateKey, place: StatePlace, decide: Decide): Promise<unknown> {
    const id = JSON.stringify([kind, key.threadId ?? null, key.name]);
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { decide, outcome: undefined, resolve, reject };
      const queue = this.#queues.get(id);
      if (queue !== undefined) queue.push(waiting);
      else {
        const started = [waiting];
        this.#queues.set(id, started);
        void this.#run(id, kind, place, started);
      }
    });
  }

  async #run(id: string, kind: StateKind, place: StatePlace, queue: Waiting[]): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.splice(0);
      try {
        await this.#parts.dialect.states.change(kind, place, (text, now) =>
          decideAll(batch, text, now),
        );
        for (const { outcome, resolve, reject } of batch) {
          if (outcome !== undefined && "result" in outcome) resolve(outcome.result);
          else reject(outcome?.error);
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#queues.delete(id);
  }
}

/** One after the other. @returns the new state; undefined where all left it */
function decideAll(
  batch: readonly Waiting[],
  text: string | undefined,
  now: number,
): string | null | undefined {
  let changed: string | null | undefined;
  for (const waiting of batch) {
    const current = changed === undefined ? text : (changed ?? undefined);
    try {
      const { state, result } = waiting.decide(parsed(current), now);
      if (state !== undefined) changed = state === null ? null : JSON.stringify(state);
      waiting.outcome = { result };
    } catch (error) {
      waiting.outcome = { error };
    }
  }
  return changed;
}

function placeOf({ name, threadId }: StateKey): StatePlace {
  if (name === "") throw new InvalidInputError("A breaker, limit or budget needs a name.");
  return {
    key: keyOf(name),
    thread: keyOf(threadId ?? ""),
    name: toText(name),
  };
}

function parsed(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new CorruptDataError("A stored state is damaged: it is not JSON.", { cause });
  }
}
