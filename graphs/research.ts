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
 */

import { END, START, StateGraph, type BaseCheckpointSaver } from "@langchain/langgraph";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { withinDeadline } from "./research/deadline.ts";
import { gatherSteps, toReadings, toSearches } from "./research/gather.ts";
import { modelFromEnvironment } from "./research/model.ts";
import { ResearchState } from "./research/state.ts";
import { afterReview, writeSteps } from "./research/write.ts";

export { DeadlinePassedError } from "./research/deadline.ts";
export { renderReport } from "./research/report.ts";
export type { Evidence, Section } from "./research/state.ts";

export interface ResearchOptions {
  checkpointer?: BaseCheckpointSaver;
  /** Default: from the environment, or else a loopback server (`research/model.ts`). */
  model?: BaseChatModel;
  /** Milliseconds for a whole run whose input has no `deadlineAt`; default half an hour. */
  timeAllowed?: number;
  /** Sections of the report; default 5. */
  sections?: number;
  /** Passages read for each section; default 4. */
  passagesPerSection?: number;
  /** Quotes kept of one file for one section; default 2. */
  quotesPerFile?: number;
  /** Default `Date.now`. */
  now?: () => number;
}

export function createResearchGraph({
  checkpointer,
  model,
  timeAllowed = 30 * 60_000,
  sections = 5,
  passagesPerSection = 4,
  quotesPerFile = 2,
  now = Date.now,
}: ResearchOptions = {}) {
  const getModel = () => model ?? modelFromEnvironment();
  const gather = gatherSteps({
    model: getModel,
    now,
    timeAllowed,
    sections,
    passagesPerSection,
    quotesPerFile,
  });
  const write = writeSteps({ model: getModel, now });

  return new StateGraph(ResearchState)
    .addNode("survey", withinDeadline("survey", now, gather.survey))
    .addNode("plan", withinDeadline("plan", now, gather.plan))
    .addNode("search", withinDeadline("search", now, gather.search))
    .addNode("shortlist", withinDeadline("shortlist", now, gather.shortlist))
    .addNode("read", withinDeadline("read", now, gather.read), { ends: ["extract"] })
    .addNode("extract", withinDeadline("extract", now, gather.extract))
    .addNode("draft", withinDeadline("draft", now, write.draft))
    .addNode("review", withinDeadline("review", now, write.review))
    .addNode("revise", withinDeadline("revise", now, write.revise))
    .addNode("publish", withinDeadline("publish", now, write.publish))
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
