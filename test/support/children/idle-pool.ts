/** Uses a saver, rests with its connections open, and uses it again when told. Args: place. */

import { describeError, hear, say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";
import { chain, onThread, syncRun } from "../small-graphs.ts";

const [place = ""] = process.argv.slice(2);
const saver = openSaver(place, { retryTimeout: 20_000 });
const graph = chain(saver, 3);
await graph.invoke({ log: [] }, syncRun("t"));
// Several connections, all of them idle.
await Promise.all(Array.from({ length: 5 }, (_, i) => saver.getTuple(onThread(`t${i}`))));
say("idle");
await hear();
try {
  await graph.invoke({ log: [] }, syncRun("t"));
  say("done");
  await saver.end();
} catch (error) {
  say("failed", { error: describeError(error) });
}
process.disconnect();
