import { describe, expect, onTestFinished, test } from "vitest";
import { fakeWorld, type FakeWorldOptions } from "../../src/testing/index.ts";
import { newFile } from "../support/places.ts";

async function open(options?: FakeWorldOptions) {
  const world = await fakeWorld(options);
  onTestFinished(() => world.close());
  const ask = async (kind: string, details: object, key?: string, signal?: AbortSignal) => {
    const response = await fetch(`${world.url}/${kind}`, {
      method: "POST",
      body: JSON.stringify(details),
      ...(key !== undefined && { headers: { "idempotency-key": key } }),
      ...(signal && { signal }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const look = async (path: string): Promise<unknown> => (await fetch(world.url + path)).json();
  return { world, ask, look };
}

describe("a world", () => {
  test("does what it is asked, and tells what it did", async () => {
    const { world, ask, look } = await open();
    expect(await ask("refund", { order: "o1", amount: 20 })).toEqual({
      status: 200,
      body: { id: "re_1", order: "o1", amount: 20 },
    });
    await ask("refund", { order: "o2", amount: 5 });
    expect(await look("/refund?order=o2")).toEqual([{ id: "re_2", order: "o2", amount: 5 }]);
    expect(world.counts()).toEqual({ refund: 2 });
  });

  test("takes things back, but not those that never were", async () => {
    const { world, ask } = await open();
    await ask("label", { order: "o1" });
    await ask("label", { order: "o2" });
    expect((await ask("void-label", { label: "lb_1" })).status).toBe(200);
    expect((await ask("void-label", { label: "lb_9" })).status).toBe(404);
    expect(world.standing("label").map(({ id }) => id)).toEqual(["lb_2"]);
    expect(world.performed("label")).toHaveLength(2);
  });

  test("has only so much in stock", async () => {
    const { ask, look } = await open({ stock: { mug: 3 } });
    expect((await ask("reserve", { sku: "mug", quantity: 2 })).status).toBe(200);
    expect((await ask("reserve", { sku: "mug", quantity: 2 })).status).toBe(409);
    expect(await look("/stock/mug")).toEqual({ sku: "mug", inStock: 1 });
    await ask("release", { reserve: "rs_1" });
    expect(await look("/stock/mug")).toEqual({ sku: "mug", inStock: 3 });
  });

  test("says what it does not understand", async () => {
    const { world, ask } = await open();
    expect((await ask("dance", {})).status).toBe(404);
    const broken = await fetch(`${world.url}/refund`, { method: "POST", body: "[1" });
    expect(broken.status).toBe(400);
    expect(world.requests).toEqual([]);
  });

  test("goes on where it was, from its file", async () => {
    const file = newFile("world.jsonl");
    const first = await open({ file });
    await first.ask("hotel", { trip: "t1" }, "k");
    await first.world.close();
    const second = await open({ file });
    expect((await second.ask("hotel", { trip: "t1" }, "k")).body["id"]).toBe("ho_1");
    expect((await second.ask("hotel", { trip: "t2" })).body["id"]).toBe("ho_2");
  });
});

describe("keys", () => {
  test("make a request happen once, also when many come at once", async () => {
    const { world, ask, look } = await open();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => ask("charge", { amount: 1 }, "key-1")),
    );
    expect(new Set(answers.map(({ body }) => body["id"]))).toEqual(new Set(["ch_1"]));
    expect(world.requests).toHaveLength(10);
    expect(world.performed("charge")).toHaveLength(1);
    expect(await look("/keys/key-1")).toMatchObject({ id: "ch_1" });
    expect((await ask("charge", { amount: 2 }, "key-1")).status).toBe(422);
  });

  test("mean nothing to a world that ignores them", async () => {
    const { world, ask } = await open({ ignoresKeys: true });
    await ask("charge", { amount: 1 }, "key-1");
    await ask("charge", { amount: 1 }, "key-1");
    expect(world.performed("charge")).toHaveLength(2);
    expect((await fetch(`${world.url}/keys/key-1`)).status).toBe(404);
  });
});

describe("faults", () => {
  test.each([
    ["status", { status: 503, headers: { "retry-after": "2" } }, 0],
    ["status, yet done", { status: 500, performs: true }, 1],
    ["cut before", { drop: "before" }, 0],
    ["cut after", { drop: "after" }, 1],
    ["hang before", { hang: "before" }, 0],
    ["hang after", { hang: "after" }, 1],
  ] as const)("%s", async (_, fault, done) => {
    const { world, ask } = await open();
    world.fail({ ...fault, on: "email" });
    expect((await ask("label", { order: "o1" })).status).toBe(200);
    const asked = ask("email", { to: "ada" }, "k", AbortSignal.timeout(300));
    if ("status" in fault) expect((await asked).status).toBe(fault.status);
    else await expect(asked).rejects.toThrow();
    expect(world.performed("email")).toHaveLength(done);
    expect((await ask("email", { to: "ada" }, "k")).status).toBe(200);
    expect(world.performed("email")).toHaveLength(1);
    expect(world.requests.filter(({ kind }) => kind === "email")).toHaveLength(2);
  });

  test("hit whom they are meant for", async () => {
    const { world, ask } = await open();
    const heal = world.fail({
      status: 402,
      times: Infinity,
      on: "refund",
      when: ({ details }) => details["order"] === "o2",
    });
    expect((await ask("refund", { order: "o1" })).status).toBe(200);
    expect((await ask("refund", { order: "o2" })).status).toBe(402);
    heal();
    expect((await ask("refund", { order: "o2" })).status).toBe(200);
  });

  test("a world that is stopped refuses connections until it is started again", async () => {
    const { world, ask } = await open();
    await world.stop();
    await expect(ask("email", {})).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
    await world.start();
    expect((await ask("email", {})).status).toBe(200);
  });
});
