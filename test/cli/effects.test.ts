/** What a run did to the world: listed, taken back, and ended by hand where that fails. */

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDatabase } from "../support/databases.ts";
import { ORDERS, OrdersProject } from "./support/orders.ts";
import type { Said } from "./support/project.ts";

interface Entry {
  idempotencyKey: string;
  kind: string;
  name: string;
  state: string;
  abandoned: boolean;
}

describe.each([
  ["SQLite", () => Promise.resolve("sqlite:orders.db")],
  ["Postgres", createDatabase],
])("on %s", (_, newDatabase) => {
  const project = new OrdersProject();
  let db: string[] = [];
  beforeAll(async () => {
    db = ["--db", await newDatabase()];
  });
  afterAll(() => project.remove());

  const call = (...words: string[]): Promise<Said> => project.call([...words, ...db]);
  const json = <T>(...words: string[]): Promise<T> => project.json<T>([...words, ...db]);
  const run = (thread: string): Promise<Said> =>
    call("run", ORDERS, "-t", thread, "-i", JSON.stringify({ order: thread }));

  it("a failed run says that what it did can be undone, and compensate does so, once", async () => {
    const failed = await run("o1");
    expect(failed.code).toBe(1);
    expect(failed.err).toContain("the card was refused");
    expect(failed.err).toContain("What it did can be undone with: holdfast compensate o1");
    expect(project.world()).toEqual(["label o1"]);
    expect(await json("status", "o1")).toMatchObject({
      status: "failed",
      workflowName: ORDERS,
      currentStep: "pay",
      errorMessage: "the card was refused",
    });

    const unasked = await call("compensate", "o1");
    expect(unasked).toMatchObject({ code: 2, out: "" });
    expect(unasked.err).toContain("--yes");
    const no = await project.call(["compensate", "o1", ...db], { typed: "n" });
    expect(no.code).toBe(1);
    expect(no.err).toContain("Nothing was undone.");
    expect(project.world()).toEqual([]);

    const yes = await project.call(["compensate", "o1", ...db], { typed: "y" });
    expect(yes).toMatchObject({ code: 0, out: "undone label  o1\n" });
    expect(project.world()).toEqual(["void lb_o1"]);
    const again = await call("compensate", "o1", "--yes");
    expect(again).toMatchObject({ code: 0, out: "" });
    expect(again.err).toContain("There was nothing to undo.");
    expect(project.world()).toEqual([]);

    // Its label is gone: going on behind it would pay for nothing.
    project.turn("paid", true);
    const resumed = await call("resume", "o1");
    project.turn("paid", false);
    expect(resumed.code).toBe(2);
    expect(resumed.err).toContain("was undone, so it cannot go on");
  });

  it("lists the ledger, and shows one effect by the beginning of its id", async () => {
    const listed = await call("effects", "ls", "--thread", "o1");
    expect(listed.out).toMatch(/^ID +EFFECT +KEY +THREAD +STATE +TRIES +WHEN/);
    expect(listed.out).toMatch(/undo label .*recorded/);
    expect(listed.out).toMatch(/ label +o1 +o1 +closed +1 /);
    const entries = await json<Entry[]>("effects", "ls", "--name", "label");
    expect(entries.map(({ kind }) => kind)).toEqual(["undo", "effect"]);
    const [, made] = entries;
    const id = made?.idempotencyKey ?? "";
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(await json("effects", "show", id.slice(0, 12))).toMatchObject({
      ...{ idempotencyKey: id, name: "label", key: "o1", threadId: "o1", node: "ship" },
      ...{ state: "closed", args: { order: "o1" }, result: { id: "lb_o1" } },
    });
    expect((await call("effects", "show", id)).out).toMatch(/^label {2}closed\nid +[0-9a-f]{32}\n/);
    expect((await call("effects", "ls", "--name", "nothing")).err).toContain("No effects.");
  });

  it("what is stuck is listed until it is tried again or dismissed", async () => {
    await run("o2");
    project.turn("undo-fails", true);
    const failed = await call("compensate", "o2", "--yes");
    expect(failed.code).toBe(1);
    expect(failed.err).toContain('"label" could not be undone: ');
    expect(failed.err).toContain("holdfast stuck ls --thread o2");
    const [one] = await json<{ id: string }[]>("stuck", "ls", "--thread", "o2");
    expect(one).toMatchObject({ kind: "compensation", effect: "label", threadId: "o2" });
    expect(one).toMatchObject({ effect: "label", key: "o2", unknown: false });
    const id = one?.id ?? "";

    const still = await call("stuck", "retry", id.slice(0, 10));
    expect(still.code).toBe(1);
    expect(still.err).toContain("the carrier says no");
    project.turn("undo-fails", false);
    expect(await call("stuck", "retry", id.slice(0, 10))).toMatchObject({
      code: 0,
      out: "label  undone\n",
    });
    expect((await call("stuck", "ls")).err).toContain("Nothing is stuck.");
    expect(project.world()).toEqual(["label o2", "void lb_o2"]);

    await run("o3");
    project.turn("undo-fails", true);
    await call("compensate", "o3", "--yes");
    project.turn("undo-fails", false);
    const [other] = await json<{ id: string }[]>("stuck", "ls");
    const words = ["stuck", "dismiss", other?.id ?? "", "--reason", "voided by telephone"];
    expect(await call(...words)).toMatchObject({ code: 0, out: "label  dismissed\n" });
    expect(await json("stuck", "ls")).toEqual([]);
    const [undo] = await json<Entry[]>("effects", "ls", "--thread", "o3");
    expect(undo).toMatchObject({ kind: "undo", state: "closed", reason: "voided by telephone" });
    expect(project.world()).toEqual(["label o3"]);
  });

  it("a fork undoes what its branch is to do anew, where it is told to", async () => {
    project.turn("paid", true);
    await run("o5");
    expect(project.world()).toEqual(["label o5"]);
    const points = await json<{ checkpointId: string; next: string[] }[]>(
      "threads",
      "history",
      "o5",
    );
    const at = points.find(({ next }) => next[0] === "ship")?.checkpointId ?? "";
    const fork = ["threads", "fork", "o5", "--checkpoint", at];

    const undone = await call(...fork, "--effects", "compensate", "--run");
    expect(undone.code).toBe(0);
    expect(undone.err).toContain("undone label");
    expect(project.world()).toEqual(["void lb_o5", "label o5"]);

    expect((await call(...fork, "--run")).code).toBe(0);
    expect(project.world()).toEqual([]);
    const { compensation } = await json<{ compensation: unknown }>(
      ...[...fork, "--effects", "compensate"],
    );
    // The branch of before only reused the label: it is not its to undo.
    expect(compensation).toEqual({ undone: [], stuck: [] });
    expect(project.world()).toEqual([]);

    expect((await call(...fork, "--effects", "redo", "--run")).code).toBe(0);
    expect(project.world()).toEqual(["label o5"]);
    expect((await call(...fork, "--effects", "forget")).code).toBe(2);
    project.turn("paid", false);
  });

  it("--unknown lists what a dead process left behind", async () => {
    expect((await call("effects", "ls", "--unknown")).err).toContain("Nothing is unknown.");
    project.turn("kill-label", true);
    await project.spawn(["run", ORDERS, "-t", "o4", "-i", '{"order":"o4"}', ...db]);
    project.turn("kill-label", false);
    const listed = await call("effects", "ls", "--unknown");
    expect(listed.out).toMatch(/label +o4 +o4 +unknown \(claimed\)/);
    const left = await json<Entry[]>("effects", "ls", "-u", "-t", "o4");
    expect(left).toMatchObject([{ name: "label", state: "claimed", abandoned: true }]);
    // Nobody knows whether there is a label: a person is asked.
    const resumed = await call("resume", "o4", ORDERS);
    expect(resumed.code).toBe(5);
    expect(resumed.err).toContain("effect-unknown");
    project.turn("paid", true);
    const answer = JSON.stringify({ outcome: "done", result: { id: "lb_4" } });
    const answered = await call("resume", "o4", ORDERS, "--value", answer);
    project.turn("paid", false);
    expect(answered.code).toBe(0);
    expect(answered.out).toContain("lb_4");
    expect(project.world()).toEqual(["label o4"]);
  });

  it.each([
    [["effects", "show", "zz"], 2, /up to 32 hex digits, not "zz"/],
    [["effects", "show", "0000000000"], 3, /There is no effect "0000000000"/],
    [["effects", "ls", "--thread", "nobody"], 3, /There is no thread "nobody"/],
    [["stuck", "retry", "ffffffffff"], 3, /Nothing is stuck under the id "ffffffffff"/],
    [["stuck", "dismiss", "ff"], 2, /required option '--reason <text>'/],
    [["compensate", "nobody", "--yes"], 3, /There is no thread "nobody"/],
  ])("%j ends with %i", async (words, code, message) => {
    const said = await call(...words);
    expect(said).toMatchObject({ code, out: "" });
    expect(said.err).toMatch(message);
  });
});
