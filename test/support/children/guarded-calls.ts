/**
 * Calls a server under a breaker and a limit that it shares with others. Args: place, URL, how many
 * calls, guards as JSON; "hold" instead of a URL: takes a permit and a trial, and keeps them.
 */

import { classify } from "../../../src/policy/classify.ts";
import { resolveBreaker, type BreakerPolicy } from "../../../src/policy/breaker.ts";
import { resolveLimit, type LimitPolicy } from "../../../src/policy/limit.ts";
import { enterBreaker } from "../../../src/steps/breakers.ts";
import { guarded } from "../../../src/steps/guards.ts";
import { acquirePermit, type Wait } from "../../../src/steps/limits.ts";
import { events } from "../../../src/events.ts";
import { hear, say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";

const [place = "", url = "", calls = "1", guards = "{}"] = process.argv.slice(2);
const { breaker, limit } = JSON.parse(guards) as { breaker?: BreakerPolicy; limit?: LimitPolicy };
const saver = openSaver(place);
const { steps } = saver;
await saver.setup();
events.on("*", ({ name }) => say("event", { name }));
say("ready");
await hear();

const wait: Wait = (at, _, { signal }) => steps.clock.sleep(at - steps.clock.now(), signal);
const shared = {
  breaker: breaker && { name: "api", policy: resolveBreaker("breaker", breaker) },
  limit: limit && { name: "api", policy: resolveLimit("limit", limit) },
};
if (url === "hold") {
  if (shared.limit) await acquirePermit(steps, "api", shared.limit.policy, { wait });
  if (shared.breaker) await enterBreaker(steps, "api", shared.breaker.policy);
  say("holds");
  await hear();
}
const outcomes = await Promise.all(
  Array.from({ length: Number(calls) }, async () => {
    try {
      const options = { wait, whileOpen: "fail", classify, attempts: 0 } as const;
      return await guarded(steps, shared, options, async () => {
        const response = await fetch(url);
        await response.text();
        if (!response.ok) throw Object.assign(new Error("refused"), { status: response.status });
        return response.status;
      });
    } catch (error) {
      return (error as { code?: unknown; status?: unknown }).code ?? "failed";
    }
  }),
);
await saver.end();
say("done", { outcomes });
process.disconnect();
