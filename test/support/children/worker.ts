/**
 * A worker until it is killed. Args: place, world, name, options as JSON: `leaseDuration`, `pollInterval`,
 * `concurrency`, the saver's `retryTimeout`, the `engine`, and whether its second node shall `hold` until
 * it is told to go on.
 */

import { events } from "../../../src/events.ts";
import { createRuntime } from "../../../src/runtime/create-runtime.ts";
import type { WorkerOptions } from "../../../src/worker/worker.ts";
import { hear, say } from "../child-side.ts";
import { newEngine, type EngineName } from "../engines.ts";
import { openSaver } from "../open-saver.ts";
import { orderGraph } from "../order-graph.ts";

const [place = "", world = "", name = "", given = "{}"] = process.argv.slice(2);
const {
  engine = "local",
  hold = false,
  retryTimeout = 30_000,
  ...options
} = JSON.parse(given) as WorkerOptions & {
  engine?: EngineName;
  hold?: boolean;
  retryTimeout?: number;
};

const graph = orderGraph({
  ...{ name, world },
  onCharge: (order) => say("charging", { order }),
  hold: async (order) => {
    say("holding", { order });
    if (hold) await hear();
  },
});
for (const event of ["lease.lost", "run.abandoned", "run.started"] as const) {
  events.on(event, ({ threadId }) => say(event, { threadId }));
}
const runtime = createRuntime({
  saver: openSaver(place, { retryTimeout }),
  graphs: { order: graph },
  engine: newEngine(engine),
  worker: false,
});
await runtime.worker({ leaseDuration: 1_000, pollInterval: 50, ...options }).start();
say("ready");
