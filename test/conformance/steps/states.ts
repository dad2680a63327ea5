import fc from "fast-check";
import { expect, it } from "vitest";
import type { StateKind, StepStore } from "../../../src/step-store.ts";
import { HOSTILE_IDS, type NewStepPlace } from "./place.ts";

const KINDS: StateKind[] = ["breakers", "limits", "budgets"];

/** Adds one, and tells how many there were and when it was. */
function count(steps: StepStore, kind: StateKind, name: string, threadId?: string) {
  const key = threadId === undefined ? { name } : { name, threadId };
  return steps.states.decide<{ n: number }, { before: number; now: number }>(
    kind,
    key,
    (state, now) => ({
      state: { n: (state?.n ?? 0) + 1 },
      result: { before: state?.n ?? 0, now },
    }),
  );
}

export function stateTests(newPlace: NewStepPlace): void {
  it("begin with nothing, and go from decision to decision, whoever decides", async () => {
    const { clock, open } = await newPlace();
    const [one, other] = [open(), open()];
    for (const kind of KINDS) {
      expect(await count(one, kind, "api")).toEqual({ before: 0, now: clock.now() });
      await clock.advance(7);
      expect(await count(other, kind, "api")).toEqual({ before: 1, now: clock.now() });
      expect(await one.states.read(kind, { name: "api" })).toEqual({
        state: { n: 2 },
        now: clock.now(),
      });
    }
    expect(await one.now()).toBe(clock.now());
    expect(one.clock).toBe(clock);
  });

  it("stay as they are where a decision leaves them, and go where it says so", async () => {
    const { clock, open } = await newPlace();
    const steps = open();
    for (const kind of KINDS) {
      expect(await steps.states.decide(kind, { name: "a" }, () => ({ result: "none" }))).toBe(
        "none",
      );
      expect(await steps.states.list(kind)).toEqual([]);
      await count(steps, kind, "a");
      const [before] = await steps.states.list(kind);
      await clock.advance(1_000);
      const seen = await steps.states.decide(kind, { name: "a" }, (state) => ({ result: state }));
      expect(seen).toEqual({ n: 1 });
      expect(await steps.states.list(kind)).toEqual([before]);
      const remove = () =>
        steps.states.decide(kind, { name: "a" }, (state) => ({ state: null, result: state }));
      expect(await remove()).toEqual({ n: 1 });
      expect(await remove()).toBeUndefined();
      expect(await steps.states.read(kind, { name: "a" })).toMatchObject({ state: undefined });
      expect(await steps.states.list(kind)).toEqual([]);
    }
  });

  it("are copies: what is changed outside of a decision is not changed", async () => {
    const { open } = await newPlace();
    const steps = open();
    const mine = { list: [1] };
    await steps.states.decide("limits", { name: "a" }, () => ({ state: mine, result: 0 }));
    mine.list.push(2);
    const { state } = await steps.states.read("limits", { name: "a" });
    (state as typeof mine).list.push(3);
    await steps.states.decide<typeof mine, void>("limits", { name: "a" }, (found) => {
      found?.list.push(4);
      return { result: undefined };
    });
    expect((await steps.states.read("limits", { name: "a" })).state).toEqual({ list: [1] });
  });

  it("are not changed by a decision that throws, which fails alone", async () => {
    const { open } = await newPlace();
    const steps = open();
    for (const kind of KINDS) {
      const failure = new Error("no");
      const [first, failed, last] = await Promise.allSettled([
        count(steps, kind, "a"),
        steps.states.decide(kind, { name: "a" }, () => {
          throw failure;
        }),
        count(steps, kind, "a"),
      ]);
      expect(first).toMatchObject({ value: { before: 0 } });
      expect(failed).toEqual({ status: "rejected", reason: failure });
      expect(last).toMatchObject({ value: { before: 1 } });
      expect((await steps.states.read(kind, { name: "a" })).state).toEqual({ n: 2 });
    }
  });

  it("are apart by kind, name and thread, whatever these look like", async () => {
    const { open } = await newPlace();
    const steps = open();
    const names = ["a", "", ...HOSTILE_IDS].slice(0).filter((name) => name !== "");
    for (const name of names) {
      await count(steps, "limits", name);
      await count(steps, "limits", name, name);
      await count(steps, "limits", name, name);
    }
    const found = await steps.states.list("limits");
    expect(found).toHaveLength(2 * names.length);
    for (const name of names) {
      expect(found.filter((row) => row.name === name)).toEqual([
        { name, threadId: undefined, state: { n: 1 }, updatedAt: expect.any(Number) as number },
        {
          name,
          threadId: expect.any(String) as string,
          state: { n: 2 },
          updatedAt: expect.any(Number) as number,
        },
      ]);
      const ofThread = await steps.states.list("limits", { threadId: name });
      expect(ofThread.map((row) => row.name)).toEqual([name]);
    }
    expect(await steps.states.list("budgets")).toEqual([]);
  });

  it("are listed by the beginning of their names, in their order", async () => {
    const { open } = await newPlace();
    const steps = open();
    const long = "openai:".padEnd(300, "x");
    for (const name of ["openai:b", "anthropic:c", `${long}1`, "openai:a", `${long}2`]) {
      await count(steps, "breakers", name);
    }
    const listed = async (prefix: string) =>
      (await steps.states.list("breakers", { prefix })).map(({ name }) => name);
    expect(await listed("openai:")).toEqual(["openai:a", "openai:b", `${long}1`, `${long}2`]);
    expect(await listed(`${long}2`)).toEqual([`${long}2`]);
    expect(await listed("nobody")).toEqual([]);
    expect(await listed("")).toHaveLength(5);
  });

  it("change by turns: any decisions at the same time are as if one came after the other", async () => {
    const decision = fc.record({
      store: fc.nat(2),
      kind: fc.constantFrom(...KINDS),
      name: fc.constantFrom("a", "b"),
      does: fc.constantFrom("add", "add", "add", "look", "remove", "throw"),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(decision, { minLength: 2, maxLength: 24 }), async (decisions) => {
        const { open } = await newPlace();
        const stores = [open(), open(), open()];
        // Each leaves its number behind; a state is the numbers since it was last removed.
        const outcomes = await Promise.all(
          decisions.map(({ store, kind, name, does }, number) =>
            (stores[store] as StepStore).states
              .decide<number[], { before: number[] }>(kind, { name }, (state) => {
                if (does === "throw") throw new Error("thrown");
                const before = [...(state ?? [])];
                if (does === "look") return { result: { before } };
                return {
                  state: does === "remove" ? null : [...before, number],
                  result: { before },
                };
              })
              .catch(() => undefined),
          ),
        );
        for (const kind of KINDS) {
          for (const name of ["a", "b"]) {
            const { state } = await stores[0]!.states.read(kind, { name });
            const mine = decisions
              .map((decision, number) => ({
                ...decision,
                number,
                before: outcomes[number]?.before,
              }))
              .filter((one) => one.kind === kind && one.name === name);
            expect(lineOf(mine)).toContainEqual(JSON.stringify(state ?? []));
          }
        }
      }),
      { numRuns: 12 },
    );
  });
}

interface Made {
  number: number;
  does: string;
  before: number[] | undefined;
}

/** The states in which the decisions may have left things; none if no order explains what they saw. */
function lineOf(made: readonly Made[]): string[] {
  const changes = made.filter(({ does }) => does === "add" || does === "remove");
  const looks = made.filter(({ does }) => does === "look");
  let ends: { at: string; left: Made[] }[] = [{ at: "[]", left: [...changes] }];
  const passed = new Set(["[]"]);
  for (let step = 0; step < changes.length; step += 1) {
    ends = ends.flatMap(({ at, left }) =>
      left
        .filter(({ before }) => JSON.stringify(before) === at)
        // Those that remove the same state are alike: any of them may come first.
        .filter(({ does }, i, all) => does === "add" || all.findIndex((o) => o.does === does) === i)
        .map((next) => {
          const after =
            next.does === "remove" ? "[]" : JSON.stringify([...(next.before ?? []), next.number]);
          passed.add(after);
          return { at: after, left: left.filter((one) => one !== next) };
        }),
    );
  }
  const isSeen = looks.every(({ before }) => passed.has(JSON.stringify(before)));
  return isSeen ? ends.map(({ at }) => at) : [];
}
