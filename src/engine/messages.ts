/** What processes that share a database server tell each other: the names of graphs whose runs are due. */

import { InvalidInputError } from "../errors.ts";
import type { RunServer, TurnTransaction } from "../run-store.ts";
import type { Bell } from "./bell.ts";
import type { EngineSite } from "./engine.ts";

export class Messages {
  readonly #server: RunServer;
  readonly #bell: Bell;
  readonly #graphs: readonly string[];
  #listener: { end(): void } | undefined;

  constructor(server: RunServer, bell: Bell, graphs: readonly string[]) {
    this.#server = server;
    this.#bell = bell;
    this.#graphs = graphs;
  }

  /** From the first call on, the bell rings for what is told. */
  hear(): void {
    this.#listener ??= this.#server.listen({
      heard: (message) => this.#bell.ring(message === "" ? this.#graphs : graphsOf(message)),
      connected: () => this.#bell.ring(this.#graphs),
    });
  }

  end(): void {
    this.#listener?.end();
  }
}

/** Tells of a graph's run, once the transaction is committed. */
export function tell(transaction: TurnTransaction, graph: string): Promise<void> {
  return transaction.tell(JSON.stringify([graph]));
}

/** Whatever anybody else may have said. */
function graphsOf(message: string): string[] {
  try {
    const said: unknown = JSON.parse(message);
    return Array.isArray(said) ? said.filter((graph) => typeof graph === "string") : [];
  } catch {
    return [];
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
