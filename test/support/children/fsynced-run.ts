/**
 * Runs, or resumes, a graph whose nodes first note in a file, by an fsynced append, that they begin.
 * Three chains of nodes run side by side, so that supersteps have several writers.
 * Args: SQLite file, thread, note file, length.
 */

import { appendFileSync } from "node:fs";
import { say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";
import { syncRun } from "../small-graphs.ts";
import { strands } from "../strands.ts";

const [file = "", thread = "", notes = "", length = "0"] = process.argv.slice(2);
const saver = openSaver(`sqlite:${file}`);
const graph = strands(saver, Number(length), (name) => {
  appendFileSync(notes, `${name}\n`, { flush: true });
  say("began", { name });
});
const started = await saver.getTuple(syncRun(thread));
const state = await graph.invoke(started === undefined ? { log: [] } : null, syncRun(thread));
await saver.end();
say("done", { log: state.log });
process.disconnect();
