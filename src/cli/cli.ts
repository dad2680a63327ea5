/** One call of the command: its options, and what the commands share, opened when first needed. */

import type { RunnableConfig } from "@langchain/core/runnables";
import { InvalidInputError, NotFoundError } from "../errors.ts";
import { chooseDatabase, mustExist, openSaver } from "./database.ts";
import { describeDatabase } from "./database-url.ts";
import type { Saver } from "./database.ts";
import type { DatabaseUrl } from "./database-url.ts";
import { withSaver } from "../run/graph.ts";
import { findGraph, loadGraph } from "./graph.ts";
import type { Graph, GraphSource } from "./graph.ts";
import type { Io } from "./io.ts";
import { Output } from "./output.ts";
import { readProject } from "./project.ts";
import type { Project } from "./project.ts";

/** Options that every command takes. */
export interface GlobalOptions {
  db?: string;
  graph?: string;
  config?: string;
  output?: "text" | "json" | "jsonl";
  debug?: boolean;
}

/** Runs a command's work on a fresh {@link Cli}, and closes what it opened. */
export type Act = (work: (cli: Cli) => Promise<void>) => Promise<void>;

export class Cli {
  readonly io: Io;
  readonly options: GlobalOptions;
  readonly out: Output;
  /** As the shell set it: one in the project's own file is relative to the project. */
  readonly #shellDatabase: string | undefined;
  #project: Promise<Project> | undefined;
  #saver: Saver | undefined;
  /** A graph that the user named and the thread does not remember. */
  #named: string | undefined;

  constructor(io: Io, options: GlobalOptions) {
    this.io = io;
    this.options = options;
    this.out = new Output(io, options.output);
    this.#shellDatabase = io.env["HOLDFAST_DB"];
  }

  project(): Promise<Project> {
    this.#project ??= this.#readProject();
    return this.#project;
  }

  async #readProject(): Promise<Project> {
    const project = await readProject(this.io, this.options.config);
    for (const [name, value] of Object.entries(project.env)) this.io.env[name] ??= value;
    return project;
  }

  async database(): Promise<{ database: DatabaseUrl; chosen: boolean }> {
    const project = await this.project();
    return chooseDatabase(this.options.db, this.#shellDatabase, project, this.io.cwd);
  }

  /**
   * The saver, open until {@link close}.
   * @param make whether a database that does not exist is made
   */
  async saver(make: "make" | "must exist" = "must exist"): Promise<Saver> {
    if (this.#saver === undefined) {
      const { database } = await this.database();
      if (make === "must exist") await mustExist(database);
      this.#saver = await openSaver(database, (notice) => this.out.note(notice));
    }
    return this.#saver;
  }

  async findGraph(asked: string | undefined): Promise<GraphSource> {
    return findGraph(await this.project(), this.io.cwd, asked ?? this.options.graph);
  }

  /** The graph on the saver. */
  async openGraph(source: GraphSource, saver: Saver, config: RunnableConfig = {}): Promise<Graph> {
    const graph = await loadGraph(source, config);
    const { database, chosen } = await this.database();
    if (!chosen && typeof graph.checkpointer === "object") {
      this.out.note(
        this.out.notePaint.dim(
          `Graph "${source.name}" was compiled with a checkpointer of its own; here it runs on ` +
            `${describeDatabase(database)}. Name another with --db or HOLDFAST_DB.`,
        ),
      );
    }
    return withSaver(graph, saver);
  }

  /** The graph that a thread was run with, as far as it says so or there is only one. */
  async graphOf(threadId: string, asked: string | undefined, saver: Saver): Promise<GraphSource> {
    const named = asked ?? this.options.graph;
    const remembered = await rememberedGraph(threadId, saver);
    if (named !== undefined) {
      const source = await this.findGraph(named);
      if (source.name !== remembered) this.#named = named;
      return source;
    }
    const project = await this.project();
    try {
      return findGraph(project, project.folder, remembered);
    } catch (error) {
      if (remembered === undefined && error instanceof InvalidInputError) {
        throw new InvalidInputError(
          `Thread "${threadId}" does not say which graph it belongs to. ${error.message}`,
        );
      }
      if (remembered === undefined || !(error instanceof NotFoundError)) throw error;
      throw new NotFoundError(
        `Thread "${threadId}" was run with graph "${remembered}". ${error.message} Name the graph to go on with.`,
      );
    }
  }

  /** A command line to go on with, as a person would type it. */
  again(...words: string[]): string {
    const { db, config } = this.options;
    return ["holdfast", ...words]
      .concat(this.#named === undefined ? [] : ["--graph", this.#named])
      .concat(db === undefined ? [] : ["--db", db])
      .concat(config === undefined ? [] : ["--config", config])
      .map(quote)
      .join(" ");
  }

  async close(): Promise<void> {
    await this.#saver?.end();
    this.#saver = undefined;
  }
}

/** `metadata.graph_id`, as the command line and LangGraph's own server write it, or what its run says. */
async function rememberedGraph(threadId: string, saver: Saver): Promise<string | undefined> {
  const { threads } = await saver.listThreads({ prefix: threadId });
  const graphId = threads.find((thread) => thread.threadId === threadId)?.metadata["graph_id"];
  if (typeof graphId === "string") return graphId;
  const [latest] = (await saver.steps.queue?.list({ threadId, limit: 1 })) ?? [];
  return latest?.graph;
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
