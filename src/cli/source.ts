/** What a thread's history is read from: its graph where it can be loaded, else the saver alone. */

import type { HistorySource } from "../history/source.ts";
import type { Cli } from "./cli.ts";
import type { Saver } from "./database.ts";
import { describeError } from "./exit.ts";
import type { Graph } from "./graph.ts";

/** The graph, or undefined with a note where reading goes on without it. */
export async function tryGraph(
  cli: Cli,
  threadId: string,
  saver: Saver,
): Promise<Graph | undefined> {
  // A graph that was named must load; one that was only guessed need not.
  if (cli.options.graph !== undefined) {
    return cli.openGraph(await cli.graphOf(threadId, undefined, saver), saver);
  }
  try {
    return await cli.openGraph(await cli.graphOf(threadId, undefined, saver), saver);
  } catch (error) {
    cli.out.note(cli.out.notePaint.dim(`Read without the graph: ${describeError(error)}`));
    return undefined;
  }
}

export async function openHistory(
  cli: Cli,
  threadId: string,
  saver: Saver,
): Promise<HistorySource> {
  return (await tryGraph(cli, threadId, saver)) ?? saver;
}
