/** Runs a case's operations one after the other, and says what came of each. */

import { Command, type StateSnapshot } from "@langchain/langgraph";
import { WRITES_IDX_MAP } from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";
import {
  allGraphs,
  changesInPlace,
  usesDelta,
  type At,
  type Case,
  type InvokeOp,
  type SubgraphOp,
  type UpdateOp,
} from "./case.ts";
import { Gate } from "./gate.ts";
import { allNodes, innerLayout, mayRunTwoSubgraphs, type Layout } from "./layout.ts";
import type { Config, State } from "./loose.ts";
import { NULL_TASK_ID } from "./oracle.ts";
import { hash, pick } from "./random.ts";
import { OP_KEY } from "./recorder.ts";
import type { Run } from "./run.ts";
import { valueFor } from "./values.ts";

/** Enough for the loops that a budget allows; a graph that runs longer fails, the same in each run. */
const RECURSION_LIMIT = 12;

/**
 * A case that has stored so many checkpoints stores no more: one in a hundred has hundreds, and would take
 * longer than the others together.
 */
const MAX_CHECKPOINTS = 100;

/** What an operation gave back, or how it failed. */
export type Outcome = { ok: unknown } | { error: unknown } | { together: Outcome[] };

export async function runScript(run: Run, value: Case): Promise<Outcome[]> {
  const script = new Script(run, value);
  const outcomes: Outcome[] = [];
  for (const [index, op] of value.ops.entries()) {
    if (run.recorder.puts.length > MAX_CHECKPOINTS) {
      outcomes.push({ ok: "enough is stored" });
      continue;
    }
    const name = String(index);
    run.recorder.current = name;
    switch (op.do) {
      case "reopen":
        await run.reopen();
        outcomes.push({ ok: "reopened" });
        break;
      case "together":
        outcomes.push({ together: await script.together(op.ops, name) });
        break;
      case "update":
        outcomes.push(await settle(script.update(op, name)));
        break;
      case "subgraphUpdate":
      case "subgraphTravel":
        outcomes.push(await settle(script.subgraph(op, name)));
        break;
      default:
        outcomes.push(await settle(script.invoke(op, name)));
    }
  }
  return outcomes;
}

async function settle(work: Promise<unknown>): Promise<Outcome> {
  try {
    return { ok: await work };
  } catch (error) {
    return { error };
  }
}

class Script {
  readonly #run: Run;
  readonly #inPlace: boolean;
  readonly #delta: boolean;

  constructor(run: Run, value: Case) {
    this.#run = run;
    this.#inPlace = changesInPlace(value.graph);
    this.#delta = usesDelta(value.graph);
  }

  async invoke(op: InvokeOp, name: string, at = this.#from(op)): Promise<unknown> {
    const { graph, recorder, layout } = this.#run;
    const nodes = allNodes(layout);
    recorder.plan(name, new Gate(op.fault && { ...op.fault, node: op.fault.node % nodes.length }));
    const config = this.#config(op.thread, name, at);
    const running = await this.#running(config, op);
    switch (op.do) {
      case "input":
        return graph.invoke(inputOf(layout, op.seed), running);
      case "continue":
        return graph.invoke(null, running);
      case "resume":
        return graph.invoke(await this.#answer(op, config), running);
      case "command":
        // As with updates: LangGraph loses the writes of a command that begins a thread.
        if (this.#delta && this.#isNew(op.thread)) return "nothing to command";
        return graph.invoke(
          new Command({
            update: inputOf(layout, op.seed),
            ...(op.goto !== null && { goto: pick(layout.nodes, op.goto).name }),
          }),
          running,
        );
    }
  }

  /**
   * Two invocations at once. On one thread both start from past checkpoints: an invocation of the
   * head, or one that runs the very tasks of the other, would depend on who comes first.
   */
  async together(ops: readonly [InvokeOp, InvokeOp], name: string): Promise<Outcome[]> {
    const [a, b] = ops;
    const threadId = this.#run.threadId(a.thread);
    if (threadId !== this.#run.threadId(b.thread)) {
      return Promise.all(ops.map((op, i) => settle(this.invoke(op, `${name}${"ab"[i]}`))));
    }
    const roots = inOrder(this.#roots(threadId));
    const head = roots.reduce((latest, { id }) => (id > latest ? id : latest), "");
    const past = roots.filter(
      ({ id, source }) => id !== head && (source === "input" || source === "loop"),
    );
    if (past.length === 0)
      return [await settle(this.invoke({ ...a, do: "input", at: null }, `${name}a`))];
    const outcomes = await Promise.all(
      ops.map((op, i) =>
        settle(
          this.invoke(
            { ...op, do: op.do === "continue" ? "continue" : "input" },
            `${name}${"ab"[i]}`,
            pick(past, op.at ?? 0).id,
          ),
        ),
      ),
    );
    // Which branch wrote last is chance: make one the head.
    const last = inOrder(this.#roots(threadId)).findLast(({ op }) => op === `${name}a`);
    if (last) await this.#run.graph.updateState(this.#config(a.thread, `${name}c`, last.id), null);
    return outcomes;
  }

  async update(op: UpdateOp, name: string): Promise<unknown> {
    const { graph, layout } = this.#run;
    // LangGraph does not store an update's writes where it finds no checkpoint, and loses them.
    if (this.#delta && this.#isNew(op.thread)) return "nothing to update";
    const config = this.#config(op.thread, name, this.#at(op.thread, op.at));
    const values = inputOf(layout, op.seed);
    const { name: node } = pick(layout.nodes, op.node);
    switch (op.as) {
      case "node":
        await graph.updateState(config, values, node);
        break;
      case "nobody":
        await graph.updateState(config, values);
        break;
      case "empty":
        await graph.updateState(config, null);
        break;
      case "clear":
        await graph.updateState(config, null, "__end__");
        break;
      case "input":
        await graph.updateState(config, values, "__input__");
        break;
      case "copy":
        await graph.updateState(config, null, "__copy__");
        break;
      case "copyWithUpdates":
        await graph.updateState(config, [[values, node]], "__copy__");
        break;
      case "several": {
        const other = pick(layout.nodes, op.node + 1).name;
        const first = [{ values, asNode: node }];
        first.push({ values: inputOf(layout, op.seed + 1), asNode: other });
        await graph.bulkUpdateState(config, [
          { updates: first },
          { updates: [{ values: inputOf(layout, op.seed + 2), asNode: other }] },
        ]);
      }
    }
    return "updated";
  }

  async subgraph(op: SubgraphOp, name: string): Promise<unknown> {
    const { graph, layout, recorder } = this.#run;
    const threadId = this.#run.threadId(op.thread);
    const inner = (await this.#run.labels(threadId)).puts.filter(({ ns }) => ns !== "");
    if (inner.length === 0) return "no subgraph has run";
    const { ns, id } = pick(inner, op.at >>> 1);
    const config: RunnableConfig = {
      configurable: {
        thread_id: threadId,
        checkpoint_ns: ns,
        [OP_KEY]: name,
        ...(op.at % 2 === 1 && { checkpoint_id: id }),
      },
    };
    if (op.do === "subgraphUpdate") {
      const target = innerLayout(layout, ns);
      if (target === undefined) return "not a graph's namespace";
      await graph.updateState(config, inputOf(target, op.seed), pick(target.nodes, op.seed).name);
      return "updated";
    }
    recorder.plan(name, new Gate(null));
    const snapshot = await graph.getState({
      configurable: { thread_id: threadId, checkpoint_ns: ns, checkpoint_id: id },
    });
    const from: RunnableConfig = {
      configurable: { ...snapshot.config.configurable, [OP_KEY]: name },
    };
    return graph.invoke(null, await this.#running(from, op));
  }

  /**
   * Not "exit" for a command where there are delta channels: if it gets no further, LangGraph stores what
   * it wrote twice, in the checkpoint's values and as pending writes on it (`_flushPendingWrites`), so
   * that plain reducers apply it twice, and no oracle can say what is right. Nor for who goes on from
   * what a command left on a checkpoint, unless by a fork: the same happens to the checkpoint itself.
   */
  async #running(config: RunnableConfig, op: InvokeOp | SubgraphOp): Promise<Config> {
    const unsafe =
      (this.#inPlace && op.durability === "async") ||
      (this.#delta &&
        op.durability === "exit" &&
        (op.do === "command" || (await this.#goesOnFromCommand(config, op))));
    const durability = unsafe ? "sync" : op.durability;
    return { ...config, durability, recursionLimit: RECURSION_LIMIT };
  }

  async #goesOnFromCommand(config: RunnableConfig, op: InvokeOp | SubgraphOp): Promise<boolean> {
    if (op.do !== "continue" && op.do !== "resume") return false;
    const { [OP_KEY]: _, ...configurable } = config.configurable ?? {};
    const found = await this.#run.saver.getTuple({ configurable });
    const isTold = found?.pendingWrites?.some(
      ([task, channel]) => task === NULL_TASK_ID && !(channel in WRITES_IDX_MAP),
    );
    if (found === undefined || isTold !== true) return false;
    const { id } = found.checkpoint;
    const isHead = this.#roots(this.#run.threadId(op.thread)).every((put) => put.id <= id);
    const { source } = found.metadata ?? {};
    const forks = op.do === "continue" && !isHead && (source === "input" || source === "loop");
    return !forks;
  }

  #config(thread: number, name: string, at: string | undefined): RunnableConfig {
    return {
      configurable: {
        thread_id: this.#run.threadId(thread),
        [OP_KEY]: name,
        ...(at !== undefined && { checkpoint_id: at }),
      },
    };
  }

  #isNew(thread: number): boolean {
    return this.#roots(this.#run.threadId(thread)).length === 0;
  }

  #roots(threadId: string) {
    return this.#run.puts(threadId).filter(({ ns }) => ns === "");
  }

  #at(thread: number, at: At): string | undefined {
    const roots = inOrder(this.#roots(this.#run.threadId(thread)));
    return at === null || roots.length === 0 ? undefined : pick(roots, at).id;
  }

  /**
   * A command to a past checkpoint stores two checkpoints at once, and no durability makes LangGraph
   * wait for the second before nodes run: one that changes values in place may or may not be in it.
   */
  #from(op: InvokeOp): string | undefined {
    return this.#inPlace && op.do === "command" ? undefined : this.#at(op.thread, op.at);
  }

  /** An answer to what the checkpoint asks. */
  async #answer(op: InvokeOp, config: RunnableConfig): Promise<Command | null> {
    const { [OP_KEY]: _, ...configurable } = config.configurable ?? {};
    const snapshot = await this.#run.graph.getState({ configurable });
    const asked = pending(snapshot);
    // Which of several parallel subgraphs takes a bare answer is a matter of speed.
    const bare = !allGraphs(this.#run.layout.spec).some(mayRunTwoSubgraphs);
    if (asked.length === 0 && !bare) return null;
    if (asked.length === 0 || (bare && !op.byId)) {
      return new Command({ resume: { answer: op.seed % 100 } });
    }
    return new Command({
      resume: Object.fromEntries(asked.map((id, i) => [id, `answer ${(op.seed + i) % 100}`])),
    });
  }
}

/** Ids of the questions that wait for an answer, in an order that is the same in every run. */
function pending(snapshot: StateSnapshot): string[] {
  return snapshot.tasks
    .flatMap((task) =>
      task.interrupts.map(({ id, value }) => ({
        id: id ?? "",
        key: JSON.stringify([task.path, value]),
      })),
    )
    .filter(({ id }) => id !== "")
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ id }) => id);
}

/** Concurrent invocations mix their checkpoints in an order that depends on the saver. */
function inOrder<T extends { op: string }>(puts: readonly T[]): T[] {
  return puts
    .map((put, index) => ({ put, index }))
    .sort(
      (a, b) =>
        a.put.op.padStart(6, "0").localeCompare(b.put.op.padStart(6, "0")) || a.index - b.index,
    )
    .map(({ put }) => put);
}

/** Values for some of a graph's channels, as a user would send them. */
export function inputOf(layout: Layout, seed: number): State {
  const input: State = {
    [layout.budget]: 2 + (seed % 4),
    [layout.trail]: [`input:${seed % 1_000}`],
  };
  for (const { name, spec, index } of layout.channels) {
    const inner = hash(seed, "input", index, spec.kind);
    if (inner % 3 === 0) continue;
    input[name] = valueFor(spec.kind, inner, undefined, {
      name: `input${seed % 100_000}`,
      owns: () => false,
    });
  }
  return input;
}
