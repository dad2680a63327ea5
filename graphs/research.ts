/**
 * A research agent on a folder of documents: plans its questions, searches and reads in parallel,
 * quotes word for word, drafts, waits for a person, then revises or publishes a Markdown file.
 *
 *     survey → plan ⇉ search → shortlist ⇉ read ⇉ extract → draft → ‖ review → publish
 *                                                                 ↑    ↓
 *                                                                 revise        ‖ stops for a person
 *
 * At the gate, read `body` in the state, then resume to publish it; or put your wishes in `notes`
 * with `updateState` and resume to have it revised, which ends at the gate again.
 *
 * Each step is durable: a provider that fails for a while costs time, not the run, and a crash loses
 * neither the steps that are done nor the count of attempts.
 */

import { END, START, StateGraph, type BaseCheckpointSaver } from "@langchain/langgraph";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { durable, type Clock } from "holdfast";
import { gatherSteps, toReadings, toSearches } from "./research/gather.ts";
import { modelFromEnvironment } from "./environment/model.ts";
import { ResearchState } from "./research/state.ts";
import { afterReview, writeSteps } from "./research/write.ts";

export { renderReport } from "./research/report.ts";
export type { Evidence, Section } from "./research/state.ts";

export interface ResearchOptions {
  checkpointer?: BaseCheckpointSaver;
  /** Default: from the environment, or else a loopback server (`environment/model.ts`). */
  model?: BaseChatModel;
  /** Milliseconds for a whole run whose input has no `deadlineAt`; default half an hour. */
  timeAllowed?: number;
  /** Sections of the report; default 5. */
  sections?: number;
  /** Passages read for each section; default 4. */
  passagesPerSection?: number;
  /** Quotes kept of one file for one section; default 2. */
  quotesPerFile?: number;
  /** What the deadline is counted from; default: the system's clock. */
  clock?: Clock;
}

/** Each step is tried again when it fails for a while, and keeps count across crashes. */
const step = durable.with({ timeout: 120_000 });

export function createResearchGraph({
  checkpointer,
  model,
  timeAllowed = 30 * 60_000,
  sections = 5,
  passagesPerSection = 4,
  quotesPerFile = 2,
  clock,
}: ResearchOptions = {}) {
  const getModel = () => model ?? modelFromEnvironment();
  const gather = gatherSteps({
    model: getModel,
    clock,
    timeAllowed,
    sections,
    passagesPerSection,
    quotesPerFile,
  });
  const write = writeSteps({ model: getModel });

  return new StateGraph(ResearchState)
    .addNode("survey", step(gather.survey))
    .addNode("plan", step(gather.plan))
    .addNode("search", step(gather.search))
    .addNode("shortlist", step(gather.shortlist))
    .addNode("read", step(gather.read), { ends: ["extract"] })
    .addNode("extract", step(gather.extract))
    .addNode("draft", step(write.draft))
    .addNode("review", step(write.review))
    .addNode("revise", step(write.revise))
    .addNode("publish", step(write.publish))
    .addEdge(START, "survey")
    .addEdge("survey", "plan")
    .addConditionalEdges("plan", toSearches, ["search"])
    .addEdge("search", "shortlist")
    .addConditionalEdges("shortlist", toReadings, ["read", "draft"])
    .addEdge("extract", "draft")
    .addEdge("draft", "review")
    .addConditionalEdges("review", afterReview, ["revise", "publish"])
    .addEdge("revise", "review")
    .addEdge("publish", END)
    .compile({ interruptBefore: ["review"], ...(checkpointer && { checkpointer }) });
}

/** For `langgraph.json`: compiled, since the gate before `review` is part of it. */
export const research = createResearchGraph();
