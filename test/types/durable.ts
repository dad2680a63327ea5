/**
 * How `durable()` types nodes. Compiled, and never run: what must be refused is marked by
 * `@ts-expect-error`, which fails when it compiles.
 */

import { RunnableLambda } from "@langchain/core/runnables";
import {
  Annotation,
  Command,
  END,
  START,
  Send,
  StateGraph,
  StateSchema,
  type GraphNode,
  type LangGraphRunnableConfig,
} from "@langchain/langgraph";
import { z } from "zod";
import {
  durableState,
  durableStateSchema,
  durableZodState,
  withDeadline,
} from "../../src/state.ts";
import { durable } from "../../src/steps/durable.ts";

const State = Annotation.Root({
  ...durableState,
  topic: Annotation<string>(),
  words: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});
type State = typeof State.State;

/** Nodes as an object: each knows its state by itself. */
export const byObject = new StateGraph(State)
  .addNode({
    plan: durable(async (state) => ({ words: state.topic.split(" ") })),
    write: durable(async (state) => ({ topic: state.words.join(" ") }), {
      retry: { maxAttempts: 2 },
      timeout: { idleTimeout: 1_000 },
      fallback: (state) => ({ topic: state.topic }),
    }),
  })
  .addEdge(START, "plan")
  .addEdge("plan", "write")
  .addEdge("write", END)
  .compile();

/** One node at a time: the state's type is said once, for all of them, or at each. */
const step = durable.for(State);
export const oneByOne = new StateGraph(State)
  .addNode(
    "plan",
    step(async (state, config) => {
      config.signal?.throwIfAborted();
      config.writer?.(state.topic);
      return { words: [state.topic] };
    }),
  )
  .addNode(
    "write",
    durable(async ({ words }: State) => ({ topic: words.join(" ") })),
  )
  .addNode(
    "sync",
    step.with({ timeout: 1 })(({ deadlineAt }) => ({ topic: `${deadlineAt}` })),
  )
  .addEdge(START, "plan")
  .addEdge("plan", "write")
  .addEdge("write", "sync")
  .compile();

/** A node by itself. */
export const typed: GraphNode<typeof State> = durable(async (state) => ({
  words: [state.topic],
}));
export const declared = durable(
  async (state: State, config: LangGraphRunnableConfig) => ({ topic: state.topic, config }),
  { fallback: (state, { attempts }) => ({ topic: `${attempts}`, config: { tags: state.words } }) },
);
const result: Promise<{ topic: string }> = declared({} as State, {});
void result;

// @ts-expect-error -- a fallback answers as the node does
durable((state: State) => ({ topic: state.topic }), { fallback: () => ({ topic: 1 }) });
// @ts-expect-error -- an option that there isn't
durable((state: State) => ({ topic: state.topic }), { retries: 3 });
// @ts-expect-error -- a field that there isn't
step((state) => ({ topic: state.title }));
/** Commands and sends. */
export const routed = new StateGraph(State)
  .addNode(
    "route",
    step((state) => new Command({ update: { topic: state.topic }, goto: "work" })),
    { ends: ["work"] },
  )
  .addNode(
    "fan",
    durable(
      (state: State) =>
        new Command({ goto: state.words.map((word) => new Send("work", { topic: word })) }),
    ),
    { ends: ["work"] },
  )
  .addNode(
    "work",
    durable(async (item: { topic: string }) => ({ words: [item.topic] })),
  )
  .addEdge(START, "route")
  .addEdge(START, "fan")
  .compile();

/** StateSchema. */
const Schema = new StateSchema({ ...durableStateSchema, topic: z.string(), count: z.number() });
const schemaStep = durable.for(Schema);
export const bySchema = new StateGraph(Schema)
  .addNode({ a: durable(async (state) => ({ count: state.topic.length })) })
  .addNode(
    "b",
    schemaStep(async (state) => ({ count: state.count + 1 })),
  )
  .addEdge(START, "a")
  .addEdge("a", "b")
  .compile();

/** zod. */
const Zod = z.object({ ...durableZodState(z), topic: z.string(), count: z.number() });
const zodStep = durable.for(Zod);
export const byZod = new StateGraph(Zod)
  .addNode({ a: durable(async (state) => ({ count: state.topic.length })) })
  .addNode(
    "b",
    zodStep(async (state) => ({ count: state.count + (state.deadlineAt ?? 0) })),
  )
  .addEdge(START, "a")
  .addEdge("a", "b")
  .compile();

/** Subgraphs and runnables. */
export const nested = new StateGraph(State)
  .addNode("sub", durable(oneByOne, { retry: { maxAttempts: 2 } }))
  .addNode("same", step(byObject))
  .addNode("lambda", durable(RunnableLambda.from((state: State) => ({ topic: state.topic }))))
  .addNode({ inObject: durable(byObject) })
  .addEdge(START, "sub")
  .addEdge("sub", "same")
  .addEdge("same", "lambda")
  .compile();

/** Deadlines are input like any other, and an update. */
export const runs = [
  oneByOne.invoke({ topic: "", ...withDeadline(1_000) }),
  bySchema.invoke({ topic: "", count: 0, ...withDeadline(1_000) }),
  byZod.invoke({ topic: "", count: 0, ...withDeadline(1_000, { includeWaits: true }) }),
  oneByOne.updateState({}, withDeadline(Infinity)),
];
