/** Runs chains on threads, all at once, when told. Args: place, threads (JSON), length. */

import { describeError, hear, say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";
import { chain, syncRun } from "../small-graphs.ts";

const [place = "", threads = "[]", length = "3"] = process.argv.slice(2);
const saver = openSaver(place);
say("ready");
await hear();
try {
  const graph = chain(saver, Number(length));
  const states = await Promise.all(
    (JSON.parse(threads) as string[]).map((thread) => graph.invoke({ log: [] }, syncRun(thread))),
  );
  await saver.end();
  say("done", { logs: states.map((state) => state.log) });
} catch (error) {
  say("failed", { error: describeError(error) });
}
process.disconnect();
