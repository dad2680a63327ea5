/**
 * A schedule with three instants that are due, declared again, fired and done. Prints how the runs ended.
 * Args: place, and since when its clock stands at 00:04. Env: WORLD_URL.
 */

import process from "node:process";
import {
  Annotation,
  END,
  START,
  StateGraph,
  type LangGraphRunnableConfig,
} from "@langchain/langgraph";
import { createRuntime, effect } from "holdfast";
import { setTimeout as delay } from "node:timers/promises";
import { openSaver } from "../open-saver.ts";

const [place = "", begunAt = ""] = process.argv.slice(2);
const world = process.env["WORLD_URL"] ?? "";
const HOUR = 3_600_000;

const email = effect({
  name: "send-digest",
  run: async (at: string, { idempotencyKey }) => {
    const headers = { "idempotency-key": idempotencyKey };
    const response = await fetch(`${world}/email`, {
      ...{ method: "POST", headers, body: JSON.stringify({ at }) },
    });
    return ((await response.json()) as { id: string }).id;
  },
  onUnknown: "repeat",
});

const State = Annotation.Root({ topic: Annotation<string>(), sent: Annotation<string>() });
const digest = new StateGraph(State)
  .addNode("send", async (_, { metadata }: LangGraphRunnableConfig) => ({
    sent: await email(String(metadata?.["scheduledAt"]), { key: "digest" }),
  }))
  .addEdge(START, "send")
  .addEdge("send", END)
  .compile();

// The same for all processes of the program: it goes on where the one that was killed left off.
const clock = {
  now: () => Date.parse("2026-01-01T00:04Z") + Date.now() - Number(begunAt),
  sleep: (duration: number, signal?: AbortSignal) =>
    delay(duration, undefined, { ...(signal && { signal }) }),
};
const saver = openSaver(place, { clock });
const runtime = createRuntime({ saver, graphs: { digest }, worker: false });
const topic = { topic: "kelp" };
await runtime.schedule("digest", "1,2,3 0 1 1 *", "digest", topic, { missed: "all" });
await runtime.worker({ leaseDuration: 10 * HOUR, pollInterval: 20 }).start();
const instants = ["00:01", "00:02", "00:03"].map((time) => `2026-01-01T${time}:00Z`);
const ended: string[] = [];
for (const instant of instants) {
  const runId = `cron:digest:${instant}`;
  while ((await runtime.runs({ prefix: runId })).length === 0) await clock.sleep(20);
  ended.push(`${instant} ${(await runtime.result(runId)).status}`);
}
await runtime.close();
process.stdout.write(JSON.stringify(ended));
await saver.end();
