/** The other process of `jobs/handovers.ts`: says when it begins a run's first node. */

import { createRuntime } from "holdfast";
import type { Handovers } from "./jobs/handovers.ts";
import { newEngine } from "./support/engines.ts";
import { withSaver } from "./support/open-saver.ts";
import { chainGraph } from "./workloads/chain.ts";

const { place, engine } = JSON.parse(process.argv[2] ?? "{}") as Handovers;

await withSaver(place, async (saver) => {
  const graph = chainGraph(saver, (node) => (state, config) => {
    if (state.step === 0) process.send?.("begun");
    return node(state, config);
  });
  const runtime = createRuntime({
    ...{ saver, graphs: { chain: graph }, worker: false },
    engine: newEngine(engine, place),
  });
  await runtime.worker().start();
  process.send?.("ready");
  await new Promise((resolve) => process.once("message", resolve));
  await runtime.close();
});
process.disconnect();
