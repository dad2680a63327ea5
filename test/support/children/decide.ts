/** Adds one to a shared state again and again, when told. Args: place, name, how often. */

import { describeError, hear, say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";

const [place = "", name = "", times = "1"] = process.argv.slice(2);
const saver = openSaver(place);
await saver.setup();
say("ready");
await hear();
try {
  const seen: number[] = [];
  for (let i = 0; i < Number(times); i += 1) {
    const kind = i % 2 === 0 ? "limits" : "breakers";
    // Two at a time, as siblings in a graph would.
    const decisions = [0, 1].map(() =>
      saver.steps.states.decide<{ n: number }, number>(kind, { name }, (state) => {
        const n = (state?.n ?? 0) + 1;
        return { state: { n }, result: n };
      }),
    );
    seen.push(...(await Promise.all(decisions)));
    say("decided", { kind, count: seen.length });
  }
  await saver.end();
  say("done", { seen });
} catch (error) {
  say("failed", { error: describeError(error) });
}
process.disconnect();
