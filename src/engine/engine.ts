/**
 * The port of an engine: what tells workers that there is something to do. It decides who tries next,
 * and nothing else. That data stays right, whoever tries, is the business of leases and turns: what an
 * engine delivers twice, late or not at all costs time, and no more.
 */

export interface Engine {
  readonly name: string;
  /** Tells workers that runs of these graphs may be due. Never fails; a message that is lost is made up for. */
  notify(graphs: readonly string[]): void;
  /**
   * Settles when something may be due for these graphs, or after so many milliseconds; rejects with the
   * signal's reason when that aborts.
   */
  wait(graphs: readonly string[], duration: number, signal: AbortSignal): Promise<void>;
  /** Frees what it holds. */
  end(): Promise<void>;
}
