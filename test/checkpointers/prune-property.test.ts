/**
 * The property test of `prune`: whatever random graphs and scripts (test/fuzz/) left in a thread, with
 * forks, subgraphs, delta channels and questions that wait, what stays reads back as before, and runs
 * on as before; what nothing needs is gone.
 */

import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { unordered } from "../fuzz/channels.ts";
import { canonical } from "../fuzz/canonical.ts";
import { isDelta, type Case } from "../fuzz/case.ts";
import { anyCase } from "../fuzz/generate.ts";
import { Run } from "../fuzz/run.ts";
import { runScript } from "../fuzz/script.ts";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import type { PrunePolicy } from "../../src/store.ts";
import { dangling, unreachable } from "../support/fsck.ts";
import { openSaver } from "../support/open-saver.ts";
import { PLACES } from "../support/places.ts";
import { ofThread, readTables } from "../support/raw-tables.ts";
import { onThread } from "../support/small-graphs.ts";
import { readStates, stillThere, type ThreadStates } from "../support/thread-states.ts";

const FIVE_MINUTES = 300_000;
/** As for test/checkpointers/forks.test.ts: a seed of the day would make failures nobody can repeat. */
const SEED = 20_260_102;

const anyPolicy: fc.Arbitrary<PrunePolicy> = fc.oneof(
  fc.integer({ min: 1, max: 6 }).map((keepLast) => ({ keepLast })),
  fc.constant({ latestOnly: true }),
);

/** A run of the case, on savers that remember nothing of it whenever it is reopened. */
function runOn(url: string, value: Case): { run: Run; saver: () => HoldfastSaver } {
  let saver = openSaver(url);
  const reopen = async (): Promise<HoldfastSaver> => {
    await saver.end();
    saver = openSaver(url);
    return saver;
  };
  const subject = { saver, reopen, close: () => saver.end() };
  return {
    run: new Run(value, subject, { deltaAsPlain: false, prefix: randomUUID() }),
    saver: () => saver,
  };
}

/** What must stay whatever the policy, of what was there. */
function expectNeeded(before: ThreadStates, after: ThreadStates): void {
  const parents = new Set(
    [...before.tuples.values()].map(
      ({ parentConfig }) => parentConfig?.configurable?.["checkpoint_id"] as string,
    ),
  );
  const newest = new Map<string, string>();
  for (const [key, { config, checkpoint, metadata, pendingWrites }] of before.tuples) {
    const ns = String(config.configurable?.["checkpoint_ns"]);
    // The subgraphs of what stays.
    const root = metadata?.parents[""];
    if (root !== undefined && after.tuples.has(` ${root}`) && ns.includes(":"))
      expect(after.tuples.has(key), `the state of a subgraph (${key})`).toBe(true);
    // Branches that end with a question.
    const asks = (pendingWrites ?? []).some(([, channel]) => channel === "__interrupt__");
    if (ns === "" && asks && !parents.has(checkpoint.id))
      expect(after.tuples.has(key), "a question that waits").toBe(true);
    if (!ns.includes(":") && checkpoint.id > (newest.get(ns) ?? "")) newest.set(ns, checkpoint.id);
  }
  for (const [ns, id] of newest) expect(after.tuples.has(`${ns} ${id}`), "the latest").toBe(true);
}

/** Goes on with a thread; what comes of it, without what chance decides. */
async function goOn(run: Run, threadId: string): Promise<unknown> {
  const config = { ...onThread(threadId), recursionLimit: 12, durability: "sync" as const };
  const outcome = await run.graph.invoke(null, config).then(
    () => "ok",
    (error: unknown) => (error as Error).name,
  );
  const { values, next } = await run.graph.getState(onThread(threadId));
  const delta = new Set(
    run.layout.channels.filter(({ spec }) => isDelta(spec.kind)).map(({ name }) => name),
  );
  const state = Object.entries(values as Record<string, unknown>).map(
    ([name, value]) => [name, canonical(delta.has(name) ? unordered(value) : value)] as const,
  );
  return { outcome, next, state };
}

async function pruneCase(url: string, value: Case, policy: PrunePolicy): Promise<number> {
  const { run, saver } = runOn(url, value);
  let gone = 0;
  try {
    await runScript(run, value);
    for (let thread = 0; thread < value.threads; thread += 1) {
      const threadId = run.threadId(thread);
      const before = await readStates(saver(), run.graph, threadId);
      if (before.tuples.size === 0) continue;
      // An answer to a thread without checkpoints: LangGraph writes it to one that it never stores.
      const orphans = new Set(unreachable(ofThread(await readTables(url), threadId)));
      const copy = `${threadId}-unpruned`;
      await saver().copyThread(threadId, copy);
      const said = await saver().prune([threadId], { ...policy, dryRun: true });
      const done = await saver().prune([threadId], policy);
      expect(done).toEqual(said);
      gone += done.checkpoints;

      await run.reopen();
      const after = await readStates(saver(), run.graph, threadId);
      expect(after).toEqual(stillThere(before, after));
      expect(after.tuples.size).toBe(done.kept);
      expect(before.tuples.size).toBe(done.kept + done.checkpoints);
      expectNeeded(before, after);
      expect(await saver().prune([threadId], policy)).toMatchObject({ checkpoints: 0, bytes: 0 });
      const tables = ofThread(await readTables(url), threadId);
      expect(dangling(tables)).toEqual([]);
      expect(unreachable(tables).filter((row) => !orphans.has(row))).toEqual([]);

      expect(await goOn(run, threadId)).toEqual(await goOn(run, copy));
      expect(dangling(ofThread(await readTables(url), threadId))).toEqual([]);
      await saver().deleteThread(copy);
      await saver().deleteThread(threadId);
    }
  } finally {
    await saver().end();
  }
  return gone;
}

describe.each(PLACES)("a prune on %s", (name, newPlace) => {
  const cases = name === "SQLite" ? 120 : 40;
  test(
    `of ${cases} random threads changes nothing that stays`,
    async () => {
      const { url } = await newPlace();
      let gone = 0;
      const property = fc.asyncProperty(anyCase, anyPolicy, async (value, policy) => {
        gone += await pruneCase(url, value, policy);
      });
      await fc.assert(property, {
        numRuns: cases,
        seed: SEED,
        interruptAfterTimeLimit: FIVE_MINUTES,
      });
      // A generator that has gone lame would let everything pass.
      expect(gone).toBeGreaterThan(cases * 4);
    },
    FIVE_MINUTES,
  );
});
