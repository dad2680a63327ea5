/** Asks a model in a node: as it is, durable, and under a budget; by turns, in one process. */

import { durableModel } from "holdfast";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { ChatOpenAI } from "@langchain/openai";
import { countCommits } from "../support/commits.ts";
import { withSaver } from "../support/open-saver.ts";
import type { StoredPlace } from "../support/place.ts";
import { startProvider } from "../support/provider.ts";

export interface ModelCalls {
  readonly place: StoredPlace;
  /** One after the other, in a node. */
  readonly calls: number;
  readonly warmups: number;
  readonly rounds: number;
}

/** Of an invocation. */
export interface ModelRound {
  readonly commits: number;
  /** Milliseconds. */
  readonly time: number;
  /** Milliseconds of CPU time. */
  readonly cpu: number;
}

const KINDS = ["bare", "durable", "budget"] as const;
type Kind = (typeof KINDS)[number];

const State = Annotation.Root({ calls: Annotation<number>(), text: Annotation<string>() });

export async function modelCalls(job: ModelCalls): Promise<Record<Kind, ModelRound[]>> {
  // Before the driver is used: it is watched from the first statement on.
  const commits = await countCommits(job.place);
  const provider = await startProvider();
  const client = (): ChatOpenAI =>
    new ChatOpenAI({
      ...{ model: "gpt-4o-mini", apiKey: "none", maxTokens: 20 },
      configuration: { baseURL: provider.baseURL },
    });
  const models = {
    bare: client(),
    durable: durableModel(client()),
    budget: durableModel(client(), { budget: { usd: 1 } }),
  };
  try {
    return await withSaver(job.place, async (checkpointer) => {
      const graphs = Object.fromEntries(
        KINDS.map((kind) => [kind, asking(models[kind]).compile({ checkpointer })]),
      ) as Record<Kind, ReturnType<ReturnType<typeof asking>["compile"]>>;
      const measure = async (kind: Kind, round: number): Promise<ModelRound> => {
        const invoke = (calls: number, thread_id: string): Promise<unknown> =>
          graphs[kind].invoke({ calls }, { configurable: { thread_id }, durability: "sync" });
        // What was left to do by the invocation before is done in this one.
        await invoke(0, `before ${kind}-${round}`);
        const before = await commits.count();
        const start = performance.now();
        const cpu = process.cpuUsage();
        await invoke(job.calls, `${kind}-${round}`);
        const { user, system } = process.cpuUsage(cpu);
        const time = performance.now() - start;
        const made = (await commits.count()) - before;
        return { commits: made, time, cpu: (user + system) / 1_000 };
      };
      const rounds: Record<Kind, ModelRound[]> = { bare: [], durable: [], budget: [] };
      for (let round = 0; round < job.warmups + job.rounds; round++) {
        for (const kind of round % 2 === 0 ? KINDS : KINDS.toReversed()) {
          const measured = await measure(kind, round);
          if (round >= job.warmups) rounds[kind].push(measured);
        }
      }
      return rounds;
    });
  } finally {
    await provider.end();
    await commits.end();
  }
}

function asking(model: { invoke(question: string): Promise<{ text: string }> }) {
  return new StateGraph(State)
    .addNode("ask", async ({ calls }) => {
      let text = "";
      for (let at = 0; at < calls; at++) ({ text } = await model.invoke(`Question ${at}`));
      return { text };
    })
    .addEdge(START, "ask")
    .addEdge("ask", END);
}
