/**
 * What a fleet of ingestions does, for charts: each event as a line of JSON to an HTTP service.
 *
 * A listener hears what was decided, and has no say in it: no run waits for this service, or notices when
 * it is away.
 */

import { events } from "holdfast";

/** Begins to send, to any URL that takes a POST. @returns stops it */
export function sendAnalytics(url: string): () => void {
  return events.on("*", async ({ name, data }) => {
    const { threadId, node } = data as { threadId?: string; node?: string };
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ event: name, threadId, node }),
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) throw new Error(`The analytics were answered with ${response.status}.`);
  });
}
