/**
 * A worker in the chaos: works until it is killed, and drains at SIGTERM. Args: place, world, engine, and
 * "unfenced" for one that writes without the token of its lease, and never hears that it lost it.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import { createRuntime } from "holdfast";
import type { HoldfastSaver } from "../../../checkpointers/saver.ts";
import { events } from "../../../src/events.ts";
import { LEASE_TOKEN_KEY } from "../../../src/step-store.ts";
import { chaosGraph } from "../../chaos/graph.ts";
import { say } from "../child-side.ts";
import { newEngine, type EngineName } from "../engines.ts";
import { openSaver } from "../open-saver.ts";

const [place = "", world = "", engine = "local", fence = "fenced"] = process.argv.slice(2);

const saver = openSaver(place, fence === "unfenced" ? { unleasedWrites: "allow" } : {});
if (fence === "unfenced") dropFence(saver);
for (const event of ["run.started", "run.abandoned", "lease.lost"] as const) {
  events.on(event, ({ threadId }) => say(event, { threadId }));
}
events.on("worker.troubled", ({ error }) => say("worker.troubled", { error: String(error) }));

const graph = chaosGraph({ world, work: () => 5 + Math.random() * 40 });
const runtime = createRuntime({
  ...{ saver, graphs: { errand: graph }, worker: false },
  engine: newEngine(engine as EngineName),
});
const worker = runtime.worker({
  ...{ concurrency: 8, leaseDuration: 1_000, pollInterval: 100 },
  // Here it is never the run that kills its worker.
  maxCrashes: Infinity,
});
await worker.start();
process.on("SIGTERM", () => {
  void runtime
    .close({ gracePeriod: 5_000 })
    .then(() => saver.end())
    .then(() => process.exit(0));
});
process.on("disconnect", () => process.exit(1));
say("ready");

function dropFence(fenced: HoldfastSaver): void {
  const bare = (config: RunnableConfig): RunnableConfig => {
    const { [LEASE_TOKEN_KEY]: _, ...configurable } = config.configurable ?? {};
    return { ...config, configurable };
  };
  const put = fenced.put.bind(fenced);
  const putWrites = fenced.putWrites.bind(fenced);
  fenced.put = (config, ...rest) => put(bare(config), ...rest);
  fenced.putWrites = (config, ...rest) => putWrites(bare(config), ...rest);
  const { leases, effects } = fenced.steps;
  if (leases === undefined || effects === undefined) throw new Error("A database is needed.");
  leases.renew = (lease) => Promise.resolve(lease);
  const write = effects.write.bind(effects);
  effects.write = (change) => write({ ...change, row: { ...change.row, leaseToken: undefined } });
}
