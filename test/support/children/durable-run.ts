/** Runs or resumes the crash graph until it is killed. Args: place, thread, `fail` or `hang`. */

import { events } from "../../../src/events.ts";
import { crashGraph } from "../../steps/crash-graph.ts";
import { trouble } from "../../steps/trouble.ts";
import { say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";
import { syncRun } from "../small-graphs.ts";

const [place = "", thread = "", how = "hang", input = "new"] = process.argv.slice(2);

events.on("attempt.failed", ({ attempt, kind, nextAttemptAt }) => {
  say("failed", { attempt, kind, nextAttemptAt });
});
const graph = crashGraph(openSaver(place), (attempt) => {
  say("attempt", { attempt });
  if (how === "fail") throw trouble();
  return new Promise(() => setInterval(() => undefined, 1_000));
});
try {
  await graph.invoke(input === "new" ? {} : null, syncRun(thread));
} catch (error) {
  const { name, message } = error as Error;
  say("ended", { name, message });
}
