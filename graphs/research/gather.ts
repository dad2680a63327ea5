/** The first half of the steps: from a topic and a folder to quotes with file and line. */

import { resolve } from "node:path";
import { Command, Send, type LangGraphRunnableConfig } from "@langchain/langgraph";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { withDeadline, type Clock } from "holdfast";
import { z } from "zod";
import { linesOf, listFiles, overviewOf, readText } from "./documents.ts";
import { extractPrompt, planPrompt } from "./prompts.ts";
import { findQuote } from "./quotes.ts";
import { searchFolder } from "./search.ts";
import {
  type Evidence,
  type ExtractPacket,
  type ReadPacket,
  type Reading,
  type SearchPacket,
  type State,
  type Update,
} from "./state.ts";

export interface GatherOptions {
  model: () => BaseChatModel | Promise<BaseChatModel>;
  /** Default: the system's. */
  clock: Clock | undefined;
  /** Milliseconds that a run may take, where its input names no `deadlineAt`. */
  timeAllowed: number;
  sections: number;
  passagesPerSection: number;
  quotesPerFile: number;
}

const Plan = z.object({
  sections: z.array(z.object({ heading: z.string(), question: z.string() })),
});
const Quotes = z.object({ quotes: z.array(z.object({ text: z.string() })) });

export function gatherSteps(options: GatherOptions) {
  const { clock, timeAllowed, sections, passagesPerSection, quotesPerFile } = options;

  /** Sets the deadline, fixes the paths, and looks over the folder. */
  async function survey(state: State): Promise<Update> {
    const folder = resolve(state.folder);
    const files = await listFiles(folder);
    if (files.length === 0) throw new Error(`There are no .md or .txt files in ${folder}.`);
    return {
      folder,
      reportPath: resolve(state.reportPath ?? "report.md"),
      ...((state.deadlineAt ?? null) === null && withDeadline(timeAllowed, clock && { clock })),
      sources: await Promise.all(
        files.map(async (file) => ({
          file,
          overview: overviewOf(file, await readText(folder, file)),
        })),
      ),
      revision: 0,
    };
  }

  /** Chooses what the report shall be about. */
  async function plan(state: State, config: LangGraphRunnableConfig): Promise<Update> {
    const model = (await options.model()).withStructuredOutput(Plan, { name: "plan" });
    const planned = await model.invoke(planPrompt(state.topic, state.sources, sections), config);
    return { outline: planned.sections.slice(0, sections) };
  }

  /** Finds the passages that bear on one section. */
  async function search({ folder, section }: SearchPacket): Promise<Update> {
    return { hits: await searchFolder(folder, section, passagesPerSection) };
  }

  /** Has the model pick quotes, and keeps those that stand in the file word for word. */
  async function extract(packet: ExtractPacket, config: LangGraphRunnableConfig): Promise<Update> {
    const { folder, question, file, passages } = packet;
    const model = (await options.model()).withStructuredOutput(Quotes, { name: "quotes" });
    const { quotes } = await model.invoke(extractPrompt(packet, quotesPerFile), config);
    const text = await readText(folder, file);
    const evidence: Evidence[] = [];
    for (const { text: quote } of quotes.slice(0, quotesPerFile)) {
      const found = findQuote(text, quote, passages[0]?.line);
      if (found) evidence.push({ question, file, ...found });
    }
    return { evidence };
  }

  return { survey, plan, search, shortlist, read, extract };
}

/** One search for each section of the outline. */
export function toSearches(state: State): Send[] {
  return state.outline.map((section) => {
    const packet: SearchPacket = { folder: state.folder, section };
    return new Send("search", packet);
  });
}

/** Waits for all searches, and puts together what they found in the same file. */
async function shortlist({ outline, hits }: State): Promise<Update> {
  const readings = new Map<string, Reading>();
  for (const { question } of outline)
    for (const hit of hits) {
      if (hit.question !== question) continue;
      const { file, line, endLine } = hit;
      const key = JSON.stringify([question, file]);
      const lines = readings.get(key)?.lines ?? [];
      if (lines.some((range) => range.line === line)) continue;
      readings.set(key, { question, file, lines: [...lines, { line, endLine }] });
    }
  return { readings: [...readings.values()] };
}

/** One reading for each question and file; without any, on to the draft. */
export function toReadings(state: State): Send[] | "draft" {
  if (state.readings.length === 0) return "draft";
  return state.readings.map((reading) => {
    const packet: ReadPacket = { ...reading, folder: state.folder };
    return new Send("read", packet);
  });
}

/** Reads the passages of one file for one question, and hands them on. */
async function read({ lines, ...rest }: ReadPacket): Promise<Command> {
  const text = await readText(rest.folder, rest.file);
  const passages = lines.map((range) => ({ line: range.line, text: linesOf(text, range) }));
  const packet: ExtractPacket = { ...rest, passages };
  return new Command({ goto: new Send("extract", packet) });
}
