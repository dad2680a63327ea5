/** The demo, chapter by chapter; each claim it prints was checked when it is printed. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SqliteSaver } from "holdfast/sqlite";
import { createResearchGraph, renderReport, type Section } from "../research.ts";
import { citable } from "../research/report.ts";
import type { State } from "../research/state.ts";
import { claim } from "./claim.ts";
import { audit, changedStates, storedSteps } from "./audit.ts";
import { readJournal, type JournalLine } from "./journal.ts";
import { runWorker, type Outcome } from "./processes.ts";
import { seeded } from "./random.ts";
import { chapter, note, Progress, say, sideBySide, table } from "./screen.ts";
import { lineage, readThread, type Point, type ResearchGraph } from "./thread.ts";
import { timeline } from "./timeline.ts";
import { count, quoted, shorten, tally } from "./words.ts";
import type { Job } from "./worker.ts";

export interface Setting {
  seed: number;
  topic: string;
  documents: string;
  /** Everything the demo writes. */
  folder: string;
  /** Of the worker processes: where their model is. */
  environment: NodeJS.ProcessEnv;
}

/** The kill comes with one of these executions. */
const [FIRST, LAST] = [3, 30];

export class Story {
  readonly #setting: Setting;
  readonly #thread: string;
  readonly #database: string;
  readonly #journal: string;

  constructor(setting: Setting) {
    this.#setting = setting;
    this.#thread = `demo-${setting.seed}`;
    this.#database = join(setting.folder, "agents.db");
    this.#journal = join(setting.folder, "executions.jsonl");
  }

  async tell(): Promise<void> {
    const killed = await this.#runAndKill();
    await this.#resume(killed);
    await this.#review();
    await this.#timeline(killed);
    await this.#fork();
  }

  async #runAndKill(): Promise<Outcome> {
    const { seed, topic, documents } = this.#setting;
    chapter(1, "Run the agent, and kill it");
    const at = FIRST + seeded(seed)(LAST - FIRST + 1);
    note(
      `Topic "${topic}", thread ${this.#thread}. Seed ${seed} draws: kill -9 when step ${at} begins.\n`,
    );
    let began = 0;
    const outcome = await this.#work(
      { do: "start", input: { topic, folder: documents, reportPath: this.#report("report.md") } },
      new Progress(),
      // With few documents there may be fewer steps: then it is the draft, which is never the last.
      ({ event, node }) => event === "began" && (++began === at || node === "draft"),
    );
    claim(outcome.killed, "the process was killed before it was done");
    return outcome;
  }

  async #resume(killed: Outcome): Promise<void> {
    chapter(2, "Resume by the thread's id, in a new process");
    const stored = await this.#open((graph, saver) => storedSteps(graph, saver, this.#thread));
    note(
      `The database has ${count(stored.size, "finished step")} (○). The new process does the rest (●).\n`,
    );
    const resumed = await this.#work({ do: "resume" }, new Progress(stored.values()));
    const verdict = audit(readJournal(this.#journal), stored, [killed.pid, resumed.pid]);
    note(
      `\nProcess ${killed.pid} began ${count(verdict.before, "step")}; ${verdict.stored} were stored when it died. ` +
        `Process ${resumed.pid} began ${count(verdict.after, "step")}.`,
    );
    note(`Finished steps that ran twice: ${verdict.repeated.length}.`);
    note(
      verdict.again.length === 0
        ? "Nothing was in flight at the kill, so nothing had to begin again."
        : `In flight at the kill, so begun again: ${tally(verdict.again)}.`,
    );
    if (verdict.unstored > 0)
      note(
        `${verdict.unstored} of these had returned; the kill came before the result was stored.`,
      );
    claim(verdict.repeated.length === 0, "no finished step runs twice");
    claim(
      verdict.stored + verdict.after === verdict.distinct,
      "every step is either kept or run, and none is missing",
    );
  }

  async #review(): Promise<void> {
    chapter(3, "A person reviews it");
    const waiting = await this.#tip();
    claim(waiting.next?.join() === "review", "the run waits before review");
    claim(!(await exists(this.#report("report.md"))), "nothing is published without a person");
    note(`The run waits at its gate; no process is needed for that. The draft begins:\n`);
    note(quoted(renderReport(full(waiting)), 10));
    note(`\nApproved. A third process publishes it:\n`);
    await this.#work({ do: "approve" }, new Progress());

    const published = await this.#tip();
    claim(published.next?.length === 0, "the run is done");
    const text = await readFile(this.#report("report.md"), "utf8");
    claim(text === renderReport(full(waiting)), "the published file is the approved draft");
    const quotes = citable(full(published));
    for (const { file, quote } of quotes) {
      const source = await readFile(join(this.#setting.documents, file), "utf8");
      claim(source.includes(quote), `the quote stands in ${file}`);
    }
    note(
      `\nPublished: ${text.split("\n").length} lines, ${count(quotes.length, "quote")}, each word for word in its file.`,
    );
  }

  async #timeline(killed: Outcome): Promise<void> {
    chapter(4, "Every state is still there");
    table(timeline(await this.#read(), readJournal(this.#journal), killed.pid));
  }

  async #fork(): Promise<void> {
    chapter(5, "Go back, change the outline, run on");
    const before = await this.#read();
    const original = before.at(-1)!;
    const planned = before.find(({ node }) => node === "plan")!;
    const outline = otherOutline(this.#setting.topic);
    note(
      `From checkpoint ${planned.checkpointId.slice(-12)}, right after the plan, with another outline; then approved:\n`,
    );
    const reportPath = this.#report("report-fork.md");
    const progress = new Progress();
    await this.#work(
      { do: "fork", checkpoint: planned.checkpointId, outline, reportPath },
      progress,
    );
    await this.#work({ do: "approve" }, progress);

    const after = await this.#read();
    const fork = after.at(-1)!;
    const [left, right] = [await this.#summary(original), await this.#summary(fork)];
    say();
    sideBySide(`original\n\n${left}`, `fork\n\n${right}`);
    const old = new Set(before.map(({ checkpointId }) => checkpointId));
    const shared = lineage(after, fork).filter(({ checkpointId }) => old.has(checkpointId));
    claim(shared.at(-1)?.node === "plan", "the branches part at the plan");
    claim(left !== right, "the fork tells something else");
    const changed = changedStates(before, after);
    claim(changed.length === 0, "the fork changes nothing of the first branch");
    note(`\nThe first branch is as it was: all ${before.length} states read back equal.`);
  }

  async #summary(tip: Point): Promise<string> {
    const state = full(tip);
    const path = state.published?.path ?? "";
    const text = await readFile(path, "utf8");
    const quotes = citable(state);
    const parts = text
      .split(/^## /m)
      .slice(1, -1)
      .map((part) => part.split("\n"));
    return [
      `${count(state.outline.length, "section")}, ${count(quotes.length, "quote")} from ${count(new Set(quotes.map(({ file }) => file)).size, "file")}`,
      `${path.split("/").at(-1)}, ${text.length.toLocaleString("en")} characters`,
      "",
      ...parts.map(([heading, , first]) => `· ${heading}: ${shorten(first ?? "")}`),
    ].join("\n");
  }

  #report(name: string): string {
    return join(this.#setting.folder, name);
  }

  async #work(
    job: DistributiveOmit<Job, "database" | "thread" | "journal">,
    progress: Progress,
    shouldDie?: (line: JournalLine) => boolean,
  ): Promise<Outcome> {
    const place = { database: this.#database, thread: this.#thread, journal: this.#journal };
    const show = ({ event, node }: JournalLine) =>
      event === "began" ? progress.began(node) : progress.returned();
    const outcome = await runWorker(
      { ...place, ...job },
      this.#setting.environment,
      show,
      shouldDie,
    );
    progress.end(outcome.killed ? `  ✗ kill -9: process ${outcome.pid} is gone` : "");
    return outcome;
  }

  async #open<T>(use: (graph: ResearchGraph, saver: SqliteSaver) => Promise<T>): Promise<T> {
    const saver = SqliteSaver.fromConnString(this.#database);
    try {
      return await use(createResearchGraph({ checkpointer: saver }), saver);
    } finally {
      await saver.end();
    }
  }

  #read(): Promise<Point[]> {
    return this.#open((graph) => readThread(graph, this.#thread));
  }

  async #tip(): Promise<Point> {
    return (await this.#read()).at(-1)!;
  }
}

/** `Omit` for each member of a union by itself. */
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** What a reviewer might want instead, whatever the topic. */
function otherOutline(topic: string): Section[] {
  return [
    { heading: "In short", question: `${topic}: what holds?` },
    { heading: "What can go wrong", question: `${topic}: which failures, losses, errors, limits?` },
    { heading: "What to do", question: `${topic}: how to set, run, resume, repair?` },
  ];
}

/** At the tip of a branch every channel is written. */
function full({ values }: Point): State {
  return values as State;
}

async function exists(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  );
}
