/**
 * Accepts a run, and stops in the middle of its transaction, when the run and the engine's job are
 * written and not committed. Args: place, the run's id.
 */

import { createRuntime } from "../../../src/runtime/create-runtime.ts";
import { say } from "../child-side.ts";
import { newEngine } from "../engines.ts";
import { openSaver } from "../open-saver.ts";
import { orderGraph } from "../order-graph.ts";

const [place = "", runId = ""] = process.argv.slice(2);

const saver = openSaver(place);
const runtime = createRuntime({
  ...{ saver, graphs: { order: orderGraph() }, engine: newEngine("pg-boss"), worker: false },
});
// The engine came first.
saver.steps.queue?.server?.join({
  prepare: () => Promise.resolve(),
  store: () => {
    say("stored");
    return new Promise(() => undefined);
  },
  failed: () => undefined,
});
await runtime.start("order", { order: "o1" }, { runId, threadId: runId });
