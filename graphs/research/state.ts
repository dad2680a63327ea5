/** What the research agent knows: its state, and the packets that its parallel steps receive. */

import { Annotation } from "@langchain/langgraph";
import { durableState } from "holdfast";

/** One part of the report to be: what it is called, and what it shall answer. */
export interface Section {
  heading: string;
  question: string;
}

/** One file of the folder, with what a planner needs to know of it. */
export interface Source {
  /** Relative to the folder, with forward slashes. */
  file: string;
  /** Its headings, each with the first words below it. */
  overview: string;
}

/** A passage that the search found for a question. */
export interface Hit {
  question: string;
  file: string;
  /** First and last line, counted from 1. */
  line: number;
  endLine: number;
  score: number;
}

/** The passages of one file that shall be read for one question. */
export interface Reading {
  question: string;
  file: string;
  lines: { line: number; endLine: number }[];
}

/** A quote that was found word for word in its file. */
export interface Evidence {
  question: string;
  file: string;
  /** The line where it begins, counted from 1. */
  line: number;
  quote: string;
}

/** In the order of the tasks, not of their completion: LangGraph applies parallel writes so. */
const appended = <T>() =>
  Annotation<T[]>({ reducer: (all, more) => all.concat(more), default: () => [] });

export const ResearchState = Annotation.Root({
  /** The deadline of the whole run: time spent waiting for the reviewer does not count. */
  ...durableState,

  topic: Annotation<string>,
  /** The folder of `.md` and `.txt` files. */
  folder: Annotation<string>,
  /** Where the report goes; default `report.md`. */
  reportPath: Annotation<string>,

  sources: Annotation<Source[]>,
  outline: Annotation<Section[]>,
  hits: appended<Hit>(),
  readings: Annotation<Reading[]>,
  evidence: appended<Evidence>(),

  /** The report in Markdown, without title and sources; `[3]` cites the third of `citable(state)`. */
  body: Annotation<string>,
  revision: Annotation<number>,
  /** The reviewer's wishes. With any, passing the gate means "revise"; without, "publish". */
  notes: Annotation<string>({ reducer: (_, next) => next, default: () => "" }),
  /** The report as published: its file, and the SHA-256 of its text. */
  published: Annotation<{ path: string; sha256: string } | null>({
    reducer: (_, next) => next,
    default: () => null,
  }),
});

export type State = typeof ResearchState.State;
export type Update = typeof ResearchState.Update;

/** What one parallel `search` gets. */
export interface SearchPacket {
  folder: string;
  section: Section;
}

/** What one parallel `read` gets. */
export interface ReadPacket extends Reading {
  folder: string;
}

/** What one parallel `extract` gets: those passages, read. */
export interface ExtractPacket {
  folder: string;
  question: string;
  file: string;
  passages: { line: number; text: string }[];
}
