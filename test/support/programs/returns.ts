/**
 * A return from beginning to end, compensated if it fails for good. Args: place, and
 * "invoke" to be run without `runToEnd`. Env: WORLD_URL.
 */

import process from "node:process";
import { createReturnsGraph } from "../../../graphs/returns.ts";
import { openSaver } from "../open-saver.ts";
import { byInvoking, toEnd } from "./drive.ts";

const [place = "", how] = process.argv.slice(2);
const saver = openSaver(place);
const request = {
  order: "o1",
  sku: "mug",
  quantity: 2,
  amount: 2_400,
  email: "ada@example.com",
  reason: "The handles are too small.",
};
const graph = createReturnsGraph({ checkpointer: saver });
const run = how === "invoke" ? byInvoking : toEnd;
process.stdout.write(JSON.stringify(await run(graph, saver, "return-o1", { request })));
await saver.end();
