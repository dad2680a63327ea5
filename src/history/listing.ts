/** The checkpoints of a thread, newest first, however its saver reads them. */

import type { CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { isThreadStore } from "../store.ts";
import { addressOf, configFor } from "./address.ts";
import type { AnySaver } from "./source.ts";

/** Names all namespaces where one is asked for. */
export const ALL = "*";

/**
 * The official database savers load a whole listing into memory before they give out the first
 * checkpoint; pages bound that. Other savers may stream, and may read a page anew from its start.
 */
const SAVERS_READ_IN_PAGES: readonly string[] = ["SqliteSaver", "PostgresSaver"];
const PAGE = 100;

/** With {@link ALL}, newest first within each namespace, in the saver's order of namespaces. */
export function listTuples(
  saver: AnySaver,
  threadId: string,
  namespace: string,
): AsyncGenerator<CheckpointTuple> {
  const tuples = listOf(saver, threadId, namespace);
  return threadId === "" ? onlyNameless(tuples) : tuples;
}

/** To LangGraph's own savers an empty thread id means all threads. */
async function* onlyNameless(
  tuples: AsyncGenerator<CheckpointTuple>,
): AsyncGenerator<CheckpointTuple> {
  for await (const tuple of tuples) if (addressOf(tuple).threadId === "") yield tuple;
}

function listOf(
  saver: AnySaver,
  threadId: string,
  namespace: string,
): AsyncGenerator<CheckpointTuple> {
  if (namespace === ALL) return saver.list({ configurable: { thread_id: threadId } });
  const inPages = SAVERS_READ_IN_PAGES.includes(saver.constructor.name) && !isThreadStore(saver);
  return inPages
    ? listInPages(saver, threadId, namespace)
    : saver.list(configFor(threadId, namespace));
}

async function* listInPages(
  saver: AnySaver,
  threadId: string,
  namespace: string,
): AsyncGenerator<CheckpointTuple> {
  const config = configFor(threadId, namespace);
  let before: string | undefined;
  for (;;) {
    let count = 0;
    const page = saver.list(config, {
      limit: PAGE,
      ...(before === undefined ? {} : { before: configFor(threadId, namespace, before) }),
    });
    for await (const tuple of page) {
      count++;
      before = addressOf(tuple).checkpointId;
      yield tuple;
    }
    if (count < PAGE) return;
  }
}
