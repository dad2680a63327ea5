import { compensate, stuck } from "holdfast";
import { fakeWorld } from "holdfast/testing";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createReturnsGraph, type ReturnRequest } from "../../graphs/returns.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

const REQUEST: ReturnRequest = {
  order: "o1",
  sku: "mug",
  quantity: 2,
  amount: 2_400,
  email: "ada@example.com",
  reason: "The handles are too small.",
};

describe.each(PLACES)("a return, on %s", (_, newPlace) => {
  async function shop() {
    const world = await fakeWorld({ stock: { mug: 5 } });
    onTestFinished(() => world.close());
    vi.stubEnv("WORLD_URL", world.url);
    const saver = (await newPlace()).open();
    const graph = createReturnsGraph({ checkpointer: saver });
    const take = (request: Partial<ReturnRequest> = {}) =>
      graph.invoke({ request: { ...REQUEST, ...request } }, syncRun("r"));
    return { world, saver, graph, take };
  }

  test("makes a label, refunds and writes, each under a key of its own", async () => {
    const { world, take } = await shop();
    expect(await take()).toMatchObject({
      problems: [],
      inStock: 5,
      label: "lb_1",
      refund: "re_1",
      email: "em_1",
    });
    expect(world.performed().map(({ kind, details }) => [kind, details["order"]])).toEqual([
      ["label", "o1"],
      ["refund", "o1"],
      ["email", "o1"],
    ]);
    expect(world.performed("email")[0]?.details["text"]).toContain("lb_1");
    const keys = world.requests.map(({ key }) => key);
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(keys).size).toBe(3);
  });

  test("is refused where the request makes no sense, and nothing is done", async () => {
    const { world, take } = await shop();
    const { problems, label } = await take({ amount: 0, email: "ada" });
    expect(problems).toHaveLength(2);
    expect(label).toBeUndefined();
    expect(world.requests).toEqual([]);
  });

  test("outlasts services that fail for a while, and sends the same key again", async () => {
    const { world, take } = await shop();
    const soon = { "retry-after-ms": "5" };
    world.fail({ status: 503, on: "refund", times: 2, headers: soon });
    world.fail({ status: 500, performs: true, on: "email", headers: soon });
    expect(await take()).toMatchObject({ refund: "re_1", email: "em_1" });
    expect(world.counts()).toEqual({ label: 1, refund: 1, email: 1 });
    const keysOf = (kind: string) =>
      world.requests.filter((request) => request.kind === kind).map(({ key }) => key);
    // Whether a 5xx was performed nobody knows: the mailer is asked again under the same key.
    expect(keysOf("email")).toHaveLength(2);
    expect(new Set(keysOf("email")).size).toBe(1);
    expect(new Set(keysOf("refund")).size).toBe(1);
  });

  test("voids the label where the refund fails for good", async () => {
    const { world, graph, saver, take } = await shop();
    world.fail({ status: 402, on: "refund", times: Infinity });
    await expect(take()).rejects.toMatchObject({ name: "RefusedError", status: 402 });
    expect(world.standing("label")).toHaveLength(1);

    const { undone, stuck: left } = await compensate(graph, "r");
    expect(undone.map(({ effect }) => effect)).toEqual(["returns.label"]);
    expect(left).toEqual([]);
    expect(await stuck(saver, "r")).toEqual([]);
    expect(world.counts()).toEqual({ label: 1, "void-label": 1 });
    expect(world.standing("label")).toEqual([]);
    const [made] = world.performed("label");
    const [voided] = world.performed("void-label");
    expect(voided).toMatchObject({ details: { label: made?.id } });
    expect(voided?.key).not.toBe(made?.key);
    // No e-mail, no second try of what was refused.
    expect(world.requests.map(({ kind }) => kind)).toEqual(["label", "refund", "void-label"]);

    await compensate(graph, "r");
    expect(world.counts()).toEqual({ label: 1, "void-label": 1 });
  });
});
