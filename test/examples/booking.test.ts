import { ChatOpenAI } from "@langchain/openai";
import { compensate, stuck } from "holdfast";
import { fakeOpenAI, fakeWorld } from "holdfast/testing";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createBookingGraph } from "../../graphs/booking.ts";
import { PLACES } from "../support/places.ts";
import { syncRun } from "../support/small-graphs.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

const TRIP = {
  id: "t1",
  traveller: "Ada",
  from: "Lisbon",
  to: "Bergen",
  leaves: "2026-06-01",
  returns: "2026-06-08",
};

describe.each(PLACES)("a booking, on %s", (_, newPlace) => {
  async function agency() {
    const world = await fakeWorld();
    onTestFinished(() => world.close());
    vi.stubEnv("WORLD_URL", world.url);
    const provider = await fakeOpenAI();
    onTestFinished(() => provider.close());
    const saver = (await newPlace()).open();
    const graph = createBookingGraph({
      checkpointer: saver,
      model: new ChatOpenAI({
        model: "gpt-4o-mini",
        apiKey: "none",
        maxRetries: 0,
        configuration: { baseURL: provider.baseURL },
      }),
    });
    const book = () => graph.invoke({ trip: TRIP }, syncRun("t"));
    const done = () => world.performed().map(({ kind }) => kind);
    return { world, provider, saver, graph, book, done };
  }

  test("books both, and has an itinerary written", async () => {
    const { book, done } = await agency();
    expect(await book()).toMatchObject({
      flight: "fl_1",
      hotel: "ho_1",
      itinerary: expect.stringMatching(/\w/),
    });
    expect(done()).toEqual(["flight", "hotel"]);
  });

  test("takes back the hotel first, then the flight, where the model fails for good", async () => {
    const { provider, graph, book, done } = await agency();
    provider.fail({ status: 400, times: Infinity });
    await expect(book()).rejects.toMatchObject({ status: 400 });
    expect(provider.requests).toHaveLength(1);

    const { undone, stuck: left } = await compensate(graph, "t");
    expect(undone.map(({ effect }) => effect)).toEqual(["booking.hotel", "booking.flight"]);
    expect(left).toEqual([]);
    expect(done()).toEqual(["flight", "hotel", "cancel-hotel", "cancel-flight"]);
  });

  test("takes back the flight though the hotel can't be cancelled, which stays listed", async () => {
    const { world, provider, saver, graph, book, done } = await agency();
    provider.fail({ status: 400, times: Infinity });
    const heal = world.fail({ status: 409, on: "cancel-hotel", times: Infinity });
    await expect(book()).rejects.toMatchObject({ status: 400 });

    const { undone, stuck: left } = await compensate(graph, "t");
    expect(undone.map(({ effect }) => effect)).toEqual(["booking.flight"]);
    expect(left.map(({ effect }) => effect)).toEqual(["booking.hotel"]);
    expect(done()).toEqual(["flight", "hotel", "cancel-flight"]);

    heal();
    const [hotel] = await stuck(saver, "t");
    expect(hotel).toMatchObject({ effect: "booking.hotel", result: { id: "ho_1" } });
    expect(await hotel?.retry()).toBeUndefined();
    expect(await stuck(saver, "t")).toEqual([]);
    expect(world.standing("hotel")).toEqual([]);
    expect(world.standing("flight")).toEqual([]);
  });

  test("takes back only what was booked", async () => {
    const { world, provider, graph, book, done } = await agency();
    world.fail({ status: 409, body: { error: "no room" }, on: "hotel", times: Infinity });
    await expect(book()).rejects.toMatchObject({ name: "RefusedError", status: 409 });
    expect(provider.requests).toEqual([]);
    await compensate(graph, "t");
    expect(done()).toEqual(["flight", "cancel-flight"]);
  });
});
