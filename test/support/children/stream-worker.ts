/** A worker whose runs ask a model. Args: place, the model's URL, options as JSON. */

import { events } from "../../../src/events.ts";
import { createRuntime } from "../../../src/runtime/create-runtime.ts";
import { say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";
import { talkGraph } from "../talk-graph.ts";

const [place = "", url = "", given = "{}"] = process.argv.slice(2);
const { leaseDuration = 1_000 } = JSON.parse(given) as { leaseDuration?: number };
for (const event of ["run.abandoned", "run.started", "run.left"] as const) {
  events.on(event, ({ runId }) => say(event, { runId }));
}
const runtime = createRuntime({
  saver: openSaver(place),
  graphs: { graph: talkGraph(url) },
  worker: false,
});
await runtime.worker({ leaseDuration, pollInterval: 50 }).start();
say("ready");
