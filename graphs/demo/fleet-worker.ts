/** A worker of the fleet: started, killed, stopped and drained by the demo. */

import process from "node:process";
import { createRuntime, events } from "holdfast";
import { SqliteSaver } from "holdfast/sqlite";
import { createBookingGraph } from "../booking.ts";

export interface FleetJob {
  database: string;
  /** Of its leases, in milliseconds. */
  leaseDuration: number;
  concurrency: number;
}

/** What a worker tells the demo. */
export type FleetLine =
  | { did: "took"; run: string; attempt: number }
  | { did: "left"; run: string; status: string }
  /** It had lost the run, and nothing more of what it did there was stored. */
  | { did: "lost"; run: string };

/** What the demo tells a worker. */
export type FleetWord = "stand still" | "drain";

const { database, leaseDuration, concurrency } = JSON.parse(process.argv[2] ?? "") as FleetJob;
const tell = (line: FleetLine) => process.send?.(line);

const saver = SqliteSaver.fromConnString(database);
const graphs = { booking: createBookingGraph() };
const runtime = createRuntime({ saver, graphs, worker: false });
const worker = runtime.worker({ concurrency, leaseDuration, pollInterval: 100 });

events.on("run.started", ({ runId = "", attempt }) => tell({ did: "took", run: runId, attempt }));
events.on("run.left", ({ runId = "", status }) => tell({ did: "left", run: runId, status }));
events.on("run.abandoned", ({ runId = "" }) => tell({ did: "lost", run: runId }));

// Without the demo there is nobody to work for.
const leave = () => process.exit(1);
process.on("disconnect", leave);
process.on("message", (word: FleetWord) => {
  // Between two statements, as a frozen machine would.
  if (word === "stand still") process.kill(process.pid, "SIGSTOP");
  else void drain();
});
await worker.start();

async function drain(): Promise<void> {
  await runtime.close();
  await saver.end();
  process.off("disconnect", leave).disconnect();
}
