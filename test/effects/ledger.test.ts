/** The ledger's protocol between processes, over the real databases. */

import { describe, expect, it, onTestFinished } from "vitest";
import { SqliteSaver } from "../../checkpointers/sqlite/index.ts";
import type { EffectStore } from "../../src/effect-store.ts";
import { CLAIM_DURATION } from "../../src/effects/claim.ts";
import { Ledger } from "../../src/effects/ledger.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import type { StepStore } from "../../src/step-store.ts";
import { faultySqlite } from "../support/faulty-sqlite.ts";
import { newFile, PLACES } from "../support/places.ts";
import { effectOf, keyedCall, MadeUpProcesses } from "./support/ledger.ts";

const never = new Promise<never>(() => undefined);
const UNKNOWN = { code: "EFFECT_UNKNOWN" };

describe.each(PLACES)("the ledger on %s", (_, newPlace) => {
  const setUp = async () => {
    const place = await newPlace();
    const clock = new ManualClock();
    const processes = new MadeUpProcesses();
    const open = (name: string) => {
      const store = place.open({ clock }).steps.effects as EffectStore;
      return { store, ledger: new Ledger(store, clock, processes.of(name)) };
    };
    return { clock, processes, open };
  };

  it("lets the second of two processes wait for, and get, the first one's result", async () => {
    const { clock, open } = await setUp();
    const [one, other] = [open("one"), open("other")];
    const begun = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<string>();
    const first = one.ledger.perform(
      effectOf(() => {
        begun.resolve();
        return answer.promise;
      }),
      keyedCall(one.store, "k"),
    );
    await begun.promise;
    let performed = 0;
    const second = other.ledger.perform(
      effectOf(() => (performed += 1)),
      keyedCall(other.store, "k"),
    );
    // Longer than a claim lasts: it is renewed.
    await clock.advance(CLAIM_DURATION * 3);
    answer.resolve("receipt");
    expect(await first).toBe("receipt");
    expect(await clock.runUntil(second)).toBe("receipt");
    expect(performed).toBe(0);
  });

  it("knows a dead process of this machine at once, and any other once its claim expired", async () => {
    for (const isLocal of [true, false]) {
      const { clock, processes, open } = await setUp();
      const [one, other] = [open("one"), open("other")];
      const begun = Promise.withResolvers<void>();
      void one.ledger
        .perform(
          effectOf(() => {
            begun.resolve();
            return never;
          }),
          keyedCall(one.store, "k"),
        )
        .catch(() => undefined);
      await begun.promise;
      if (isLocal) processes.dead.add("one");
      const startedAt = clock.now();
      // A process that is gone renews nothing.
      one.store.write = () => never;
      const asked = other.ledger.perform(
        effectOf(() => 1),
        keyedCall(other.store, "k"),
      );
      asked.catch(() => undefined);
      await expect(isLocal ? asked : clock.runUntil(asked)).rejects.toMatchObject(UNKNOWN);
      const waited = clock.now() - startedAt;
      if (isLocal) expect(waited).toBe(0);
      else expect(waited).toBeGreaterThanOrEqual(CLAIM_DURATION / 2);
      const [row] = await other.store.list({ threadId: "t" });
      expect(row).toMatchObject({ state: "unknown", process: "one" });
    }
  });

  it("takes what became of a row whose claim was lost while it was performed", async () => {
    const { clock, processes, open } = await setUp();
    const [one, other] = [open("one"), open("other")];
    const begun = Promise.withResolvers<AbortSignal>();
    const late = one.ledger.perform(
      effectOf(({ signal }) => {
        begun.resolve(signal);
        return never;
      }),
      keyedCall(one.store, "k"),
    );
    const signal = await begun.promise;
    // It was taken for dead, and is not.
    processes.dead.add("one");
    const effect = effectOf(() => "repeated", { onUnknown: "repeat" });
    expect(await other.ledger.perform(effect, keyedCall(other.store, "k"))).toBe("repeated");
    expect(await clock.runUntil(late)).toBe("repeated");
    expect(signal.aborted).toBe(true);
  });

  it("writes what a claim became even where it is renewed at the same moment", async () => {
    const { open } = await setUp();
    const { store, ledger } = open("one");
    const begun = Promise.withResolvers<void>();
    void ledger.perform(
      effectOf(() => {
        begun.resolve();
        return never;
      }),
      keyedCall(store, "k"),
    );
    await begun.promise;
    const [row] = await store.list({ threadId: "t" });
    if (row === undefined) throw new Error("There is no row.");
    const { version } = row;
    const change = {
      row,
      replaces: version,
      claims: false,
      expiresIn: 1_000,
      sent: "before",
    } as const;
    const recorded = { ...row, state: "recorded", result: "1" } as const;
    const written = await Promise.all([
      store.write({ ...change, version }),
      store.write({ ...change, row: recorded, version: "next", expiresIn: undefined }),
      store.write({ ...change, version }),
    ]);
    expect(written).toEqual([true, true, false]);
    expect(await store.list({ threadId: "t" })).toMatchObject([
      { state: "recorded", version: "next" },
    ]);
  });

  it("asks about an unknown outcome that is older than receivers remember keys", async () => {
    const { clock, processes, open } = await setUp();
    const window = 60_000;
    for (const [age, isAsked] of [
      [window, false],
      [window + 1, true],
    ] as const) {
      const key = `k ${age}`;
      const [one, other] = [open(`one ${age}`), open("other")];
      const begun = Promise.withResolvers<void>();
      void one.ledger
        .perform(
          effectOf(() => {
            begun.resolve();
            return never;
          }),
          keyedCall(one.store, key),
        )
        .catch(() => undefined);
      await begun.promise;
      processes.dead.add(`one ${age}`);
      one.store.write = () => never;
      await clock.advance(age);
      const effect = effectOf(() => "again", { onUnknown: "repeat", dedupeWindow: window });
      const again = other.ledger.perform(effect, keyedCall(other.store, key));
      if (isAsked) await expect(again).rejects.toMatchObject(UNKNOWN);
      else expect(await again).toBe("again");
    }
  });

  it("takes an aborted try for unknown, and one that was not begun for nothing", async () => {
    const { open } = await setUp();
    const { store, ledger } = open("one");
    const controller = new AbortController();
    const call = { ...keyedCall(store, "k"), signal: controller.signal };
    const aborted = ledger.perform(
      effectOf(() => {
        controller.abort(new Error("time is up"));
        return never;
      }),
      call,
    );
    await expect(aborted).rejects.toThrow("time is up");
    const [row] = await store.list({ threadId: "t" });
    expect(row).toMatchObject({ state: "unknown", attempts: 1 });
    await expect(
      ledger.perform(
        effectOf(() => 1),
        call,
      ),
    ).rejects.toThrow("time is up");
    await expect(
      ledger.perform(
        effectOf(() => 1),
        keyedCall(store, "k"),
      ),
    ).rejects.toMatchObject(UNKNOWN);
  });
});

it("commits twice for an effect, and hardly more for many at once", async () => {
  const db = faultySqlite(newFile());
  let commits = 0;
  db.onCommit = () => {
    commits += 1;
  };
  const saver = new SqliteSaver(db);
  onTestFinished(() => saver.end());
  await saver.setup();
  const { effects: store, clock } = saver.steps as StepStore & { effects: EffectStore };
  const ledger = new Ledger(store, clock, new MadeUpProcesses().of("one"));
  commits = 0;
  await ledger.perform(
    effectOf(() => 1),
    keyedCall(store, "one"),
  );
  expect(commits).toBe(2);
  commits = 0;
  let performed = 0;
  await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      ledger.perform(
        effectOf(() => (performed += 1)),
        keyedCall(store, `k ${i}`),
      ),
    ),
  );
  expect(performed).toBe(200);
  expect(commits).toBeLessThanOrEqual(6);
  const rows = await store.list({ threadId: "t", states: ["recorded"], limit: 1_000 });
  expect(rows).toHaveLength(201);
});
