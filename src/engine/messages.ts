/** What processes that share a database server tell each other: which graphs have runs to do, and which runs are to stop. */

import { InvalidInputError } from "../errors.ts";
import type { RunServer, TurnChange, TurnTransaction } from "../run-store.ts";
import { isAtWork, upcoming, type Upcoming } from "../turns.ts";
import type { Bell } from "./bell.ts";
import type { EngineSite } from "./engine.ts";

interface Message {
  /** Graphs, by name. */
  due: readonly string[];
  /** Runs, by id. */
  stop: readonly string[];
}

export class Messages {
  readonly #server: RunServer;
  readonly #bell: Bell;
  readonly #site: EngineSite;
  #listener: { end(): void } | undefined;

  constructor(server: RunServer, bell: Bell, site: EngineSite) {
    this.#server = server;
    this.#bell = bell;
    this.#site = site;
  }

  /** From the first call on, the bell rings for what is told. */
  hear(): void {
    const { graphs, heed } = this.#site;
    this.#listener ??= this.#server.listen({
      heard: (text) => {
        const { due, stop } = parse(text) ?? { due: graphs, stop: [] };
        this.#bell.ring(due);
        if (stop.length > 0) heed(stop);
      },
      connected: () => this.#bell.ring(graphs),
    });
  }

  end(): void {
    this.#listener?.end();
  }
}

/**
 * Tells what a turn leaves for workers, once it is committed: also of a time to come, since workers rest
 * until the next one that they know of. @returns what comes next
 */
export async function tellOf(
  { runs, now }: TurnChange,
  transaction: TurnTransaction,
): Promise<Upcoming | undefined> {
  const next = upcoming(runs, now);
  const stop = runs
    .filter((run) => run.stop !== undefined && isAtWork(run))
    .map(({ runId }) => runId);
  const message: Message = { due: next === undefined ? [] : [next.run.graph], stop };
  if (next !== undefined || stop.length > 0) await transaction.tell(JSON.stringify(message));
  return next;
}

/** Undefined for what was too long, or is not ours. */
function parse(text: string): Message | undefined {
  try {
    const { due, stop } = JSON.parse(text) as Message;
    return { due: due.map(String), stop: stop.map(String) };
  } catch {
    return undefined;
  }
}

/** @throws {InvalidInputError} the runs are in a file */
export function serverOf({ queue }: EngineSite, engine: string): RunServer {
  if (queue.server !== undefined) return queue.server;
  throw new InvalidInputError(
    `${engine} needs runs in Postgres: give the runtime a saver of "holdfast/postgres". On SQLite the ` +
      "default engine is all that one machine needs.",
  );
}
