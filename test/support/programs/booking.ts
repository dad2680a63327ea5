/**
 * A trip from beginning to end, compensated if it fails for good. Args: place, and
 * "invoke" to be run without `runToEnd`. Env: WORLD_URL, OPENAI_*.
 */

import process from "node:process";
import { createBookingGraph } from "../../../graphs/booking.ts";
import { openSaver } from "../open-saver.ts";
import { byInvoking, toEnd } from "./drive.ts";

const [place = "", how] = process.argv.slice(2);
const saver = openSaver(place);
const trip = {
  id: "t1",
  traveller: "Ada",
  from: "Lisbon",
  to: "Bergen",
  leaves: "2026-06-01",
  returns: "2026-06-08",
};
const graph = createBookingGraph({ checkpointer: saver });
const run = how === "invoke" ? byInvoking : toEnd;
process.stdout.write(JSON.stringify(await run(graph, saver, "trip-t1", { trip })));
await saver.end();
