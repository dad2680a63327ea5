/** The second half of the steps: draft, the reviewer's gate, revise or publish. */

import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { draftPrompt, revisePrompt } from "./prompts.ts";
import { publishFile } from "./publish.ts";
import { quotedSections, renderReport } from "./report.ts";
import type { State, Update } from "./state.ts";

export interface WriteOptions {
  model: () => BaseChatModel | Promise<BaseChatModel>;
}

export function writeSteps({ model }: WriteOptions) {
  /** Writes the body from the quotes; from now on the run waits for its reviewer. */
  async function draft(state: State, config: LangGraphRunnableConfig): Promise<Update> {
    const prompt = draftPrompt(state.topic, quotedSections(state));
    const answer = await (await model()).invoke(prompt, config);
    return { body: answer.text };
  }

  /** Writes the body anew, with the reviewer's notes, which are then done with. */
  async function revise(state: State, config: LangGraphRunnableConfig): Promise<Update> {
    const prompt = revisePrompt(state.topic, quotedSections(state), state);
    const answer = await (await model()).invoke(prompt, config);
    return { body: answer.text, notes: "", revision: state.revision + 1 };
  }

  return { draft, review, revise, publish };
}

/** Runs once a person has let it: the graph stops before it. Which way it goes on is in `afterReview`. */
async function review(): Promise<Update> {
  return {};
}

/** Writes the file; done again after a crash, it finds its work done. */
async function publish(state: State): Promise<Update> {
  const sha256 = await publishFile(state.reportPath, renderReport(state));
  return { published: { path: state.reportPath, sha256 } };
}

export function afterReview({ notes }: State): "revise" | "publish" {
  return notes.trim() === "" ? "publish" : "revise";
}
