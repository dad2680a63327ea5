/** One run of a case on one saver: its graph, its threads, and what it stored so far. */

import type { StateSnapshot } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { Case } from "./case.ts";
import { buildGraph } from "./build-graph.ts";
import { Labels } from "./labels.ts";
import { layoutOf, type Layout } from "./layout.ts";
import type { LooseCompiled } from "./loose.ts";
import { Recorder, type Put } from "./recorder.ts";

/** A saver under test, with the means to close and open what it stores in. */
export interface Subject {
  saver: BaseCheckpointSaver;
  reopen(): Promise<BaseCheckpointSaver>;
  close(): Promise<void>;
}

export type SubjectFactory = () => Promise<Subject>;

export class Run {
  readonly layout: Layout;
  readonly recorder = new Recorder();
  readonly #case: Case;
  readonly #subject: Subject;
  readonly #deltaAsPlain: boolean;
  readonly #prefix: string;
  #saver: BaseCheckpointSaver;
  #graph: LooseCompiled;

  constructor(value: Case, subject: Subject, options: { deltaAsPlain: boolean; prefix: string }) {
    this.#case = value;
    this.#subject = subject;
    this.#deltaAsPlain = options.deltaAsPlain;
    this.#prefix = options.prefix;
    this.layout = layoutOf(value.graph);
    this.#saver = subject.saver;
    this.#graph = this.#build(subject.saver);
  }

  get saver(): BaseCheckpointSaver {
    return this.#saver;
  }

  get graph(): LooseCompiled {
    return this.#graph;
  }

  async reopen(): Promise<void> {
    this.#saver = await this.#subject.reopen();
    this.#graph = this.#build(this.#saver);
  }

  /** The id of a thread, told apart from those of other cases in the same database. */
  threadId(thread: number): string {
    return `${this.#prefix}-${thread % this.#case.threads}`;
  }

  puts(threadId: string): Put[] {
    return this.recorder.puts.filter((put) => put.thread === threadId);
  }

  labels(threadId: string): Promise<Labels> {
    return Labels.of(this.puts(threadId), (ns) => this.snapshots(threadId, ns));
  }

  /** The states of a namespace, latest first; none where LangGraph finds no graph for it. */
  async snapshots(threadId: string, ns: string): Promise<StateSnapshot[]> {
    const found: StateSnapshot[] = [];
    const history = this.#graph.getStateHistory({
      configurable: { thread_id: threadId, checkpoint_ns: ns },
    });
    for await (const snapshot of history) found.push(snapshot);
    return found;
  }

  #build(saver: BaseCheckpointSaver): LooseCompiled {
    this.recorder.watch(saver);
    const together = this.#case.ops.some((op) => op.do === "together");
    return buildGraph(this.layout, saver, {
      recorder: this.recorder,
      deltaAsPlain: this.#deltaAsPlain,
      persistent: !together,
    });
  }
}
