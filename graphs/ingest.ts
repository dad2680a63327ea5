/**
 * A document for a search index: reads it, has its passages embedded, stores them, has the text of a
 * longer one looked over, and tells its owner.
 *
 *     extract → embed → store → check → notify
 *                          ↘ under 100 words ↗
 *
 * If the first embedding model fails for good, or is left alone because it fails too often, the fallback
 * model takes over. If that fails, too, so does the run: its status says so at once, and nobody is told of
 * a success. What it counts for charts (`ingest/analytics.ts`) hears events, and can't disturb it.
 */

import { END, START, Annotation, StateGraph, type BaseCheckpointSaver } from "@langchain/langgraph";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { durable, durableState, retry } from "holdfast";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { embeddingsFromEnvironment, modelFromEnvironment } from "./environment/model.ts";
import { tellOwner } from "./ingest/effects.ts";
import { passagesOf } from "./research/documents.ts";
import { publishFile } from "./research/publish.ts";

/** What is ingested. */
export interface IngestRequest {
  /** The document: a text or Markdown file. */
  path: string;
  /** The index: a folder, with a JSON file for each document. */
  index: string;
  /** Who is told: an e-mail address. */
  owner: string;
}

export interface Embedded {
  /** Vectors of different models don't compare, so the index says whose they are. */
  model: string;
  vectors: number[][];
}

export const IngestState = Annotation.Root({
  ...durableState,
  request: Annotation<IngestRequest>,
  words: Annotation<number>,
  passages: Annotation<string[]>,
  embedded: Annotation<Embedded>,
  /** The document's file in the index, and the SHA-256 of what is in it. */
  stored: Annotation<{ file: string; sha256: string }>,
  /** What the checker found; empty for a document too short for it. */
  remarks: Annotation<string>,
  /** The e-mail's id. */
  notified: Annotation<string>,
});

type State = typeof IngestState.State;
type Update = typeof IngestState.Update;

/** An embedding model, and what it is called. */
export interface NamedEmbeddings {
  name: string;
  /** Without retries of its own: the step tries again. */
  embeddings: EmbeddingsInterface;
}

export interface IngestOptions {
  checkpointer?: BaseCheckpointSaver;
  /** Looks the text over; default: from the environment, or else a loopback server. */
  model?: BaseChatModel;
  /** The first choice and the fallback; default as for `model`. */
  embeddings?: { first: NamedEmbeddings; fallback: NamedEmbeddings };
}

/** A text with fewer words is not looked over. */
const FEW_WORDS = 100;

const step = durable.for(IngestState).with({ timeout: 60_000 });

export function createIngestGraph({ checkpointer, model, embeddings }: IngestOptions = {}) {
  return new StateGraph(IngestState)
    .addNode("extract", step(extract))
    .addNode("embed", step(embed, { breaker: "embeddings", fallback: embedOtherwise }))
    .addNode("store", step(store))
    .addNode("check", step(check))
    .addNode("notify", step(notify))
    .addEdge(START, "extract")
    .addEdge("extract", "embed")
    .addEdge("embed", "store")
    .addConditionalEdges("store", ({ words }) => (words < FEW_WORDS ? "notify" : "check"), [
      "check",
      "notify",
    ])
    .addEdge("check", "notify")
    .addEdge("notify", END)
    .compile(checkpointer && { checkpointer });

  async function embed(state: State): Promise<Update> {
    const { first } = embeddings ?? (await embeddingsFromEnvironment());
    return { embedded: await embedded(first, state) };
  }

  async function embedOtherwise(
    state: State,
    { signal }: { signal: AbortSignal },
  ): Promise<Update> {
    const { fallback } = embeddings ?? (await embeddingsFromEnvironment());
    return { embedded: await retry(() => embedded(fallback, state), { signal }) };
  }

  async function check({ passages }: State, config: LangGraphRunnableConfig): Promise<Update> {
    const checker = model ?? (await modelFromEnvironment());
    const answer = await checker.invoke(
      "Name in one sentence what in this text is garbled, cut off or contradicts itself, if anything.\n\n" +
        `<document>\n${passages.join("\n\n")}\n</document>`,
      config,
    );
    return { remarks: answer.text };
  }
}

async function extract({ request }: State): Promise<Update> {
  const text = await readFile(request.path, "utf8");
  const passages = passagesOf(basename(request.path), text).map((passage) => passage.text);
  if (passages.length === 0) throw new Error(`There is no text in ${request.path}.`);
  return { passages, words: text.split(/\s+/).filter((word) => word !== "").length, remarks: "" };
}

async function embedded(
  { name, embeddings }: NamedEmbeddings,
  { passages }: State,
): Promise<Embedded> {
  const vectors = await embeddings.embedDocuments(passages);
  return { model: name, vectors: vectors.map((vector) => [...vector]) };
}

/** Done again after a crash, it finds its work done: no effect is needed. */
async function store({ request, passages, embedded: { model, vectors } }: State): Promise<Update> {
  const file = join(request.index, `${basename(request.path)}.json`);
  const entries = passages.map((text, at) => ({ text, vector: vectors[at] }));
  const sha256 = await publishFile(file, JSON.stringify({ model, passages: entries }));
  return { stored: { file, sha256 } };
}

/** One e-mail for each state of the document, whatever becomes of this run. */
async function notify({ request, passages, stored, remarks }: State): Promise<Update> {
  const document = basename(request.path);
  const found = `${document} can be found now, by ${passages.length} passages.`;
  const text = remarks === "" ? found : `${found} ${remarks}`;
  const { id } = await tellOwner(
    { document, to: request.owner, text },
    { key: `${document} ${stored.sha256}` },
  );
  return { notified: id };
}

/** For `langgraph.json`. */
export const ingest = createIngestGraph();
