/**
 * A process that works on the thread: started, killed and started again by the demo. It knows what
 * any process of a fleet would: the database and the thread's id.
 */

import process from "node:process";
import { fork } from "holdfast";
import { SqliteSaver } from "holdfast/sqlite";
import { createResearchGraph, type Section } from "../research.ts";
import { Journal } from "./journal.ts";

/** What to do, as JSON in the first argument. */
export type Job = { database: string; thread: string; journal: string } & (
  | { do: "start"; input: { topic: string; folder: string; reportPath: string } }
  | { do: "resume" }
  | { do: "approve" }
  | { do: "fork"; checkpoint: string; outline: Section[]; reportPath: string }
);

// Without the demo there is nobody to work for.
const leave = () => process.exit(1);
process.on("disconnect", leave);

const job = JSON.parse(process.argv[2] ?? "") as Job;
const journal = new Journal(job.journal, process.pid, (line) => process.send?.(line));
const saver = SqliteSaver.fromConnString(job.database);
const graph = createResearchGraph({ checkpointer: saver });
const thread = { configurable: { thread_id: job.thread } };
const settings = { durability: "sync" as const, maxConcurrency: 3, callbacks: [journal] };

try {
  await work();
} finally {
  await saver.end();
  journal.close();
}
process.off("disconnect", leave).disconnect();

async function work(): Promise<void> {
  const { next } = await graph.getState(thread);
  const atGate = next.includes("review");
  switch (job.do) {
    case "start":
      await graph.invoke(job.input, { ...thread, ...settings });
      return;
    case "resume":
      // A crash is no approval: whoever resumes after one must not walk through the gate.
      if (!atGate) await graph.invoke(null, { ...thread, ...settings });
      return;
    case "approve":
      if (atGate) await graph.invoke(null, { ...thread, ...settings });
      return;
    case "fork": {
      const { checkpoint: checkpointId, outline, reportPath } = job;
      const update = { outline, reportPath };
      const branch = await fork(graph, job.thread, { checkpointId, update, asNode: "plan" });
      await graph.invoke(null, { ...branch.config, ...settings });
      return;
    }
  }
}
