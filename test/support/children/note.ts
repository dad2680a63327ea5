/** Notes and writes what steps keep, and waits to be killed. Args: place, thread. */

import { hear, say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";

const [place = "", threadId = ""] = process.argv.slice(2);
const { steps } = openSaver(place);
const task = { threadId, namespace: "", checkpointId: "c", taskId: "k" };
await steps.attempts.write(task, { failed: 2, startedAt: 1, nextAttemptAt: 60_000 });
say("written");
steps.status.note(threadId, { currentStep: "ship" });
steps.usage.add({
  threadId,
  runId: "r",
  node: "ship",
  model: "m",
  inputTokens: 1,
  outputTokens: 2,
  usd: 0.25,
  estimated: false,
  failed: false,
  at: 1,
});
steps.attempts.note({ ...task, taskId: "noted" }, { failed: 0, startedAt: 2 });
say("noted");
await hear();
