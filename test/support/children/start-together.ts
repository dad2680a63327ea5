/** Waits for the word, then uses a database that nobody has set up. Args: place, thread. */

import { describeError, hear, say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";
import { chain, syncRun } from "../small-graphs.ts";

const [place = "", thread = ""] = process.argv.slice(2);
const saver = openSaver(place);
say("ready");
await hear();
try {
  const state = await chain(saver, 3).invoke({ log: [] }, syncRun(thread));
  await saver.end();
  say("done", { log: state.log });
} catch (error) {
  say("failed", { error: describeError(error) });
}
process.disconnect();
