import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { events, runToEnd } from "holdfast";
import { fakeOpenAI, fakeWorld } from "holdfast/testing";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createIngestGraph } from "../../graphs/ingest.ts";
import { sendAnalytics } from "../../graphs/ingest/analytics.ts";
import { deadUrl, loopback } from "../policy/server.ts";
import { newFile, PLACES } from "../support/places.ts";
import { execute } from "../support/raw-tables.ts";
import { syncRun } from "../support/small-graphs.ts";

afterEach(() => {
  vi.unstubAllEnvs();
});

const KELP = join(import.meta.dirname, "../graphs/documents/kelp.md");
const [LARGE, SMALL] = ["text-embedding-3-large", "text-embedding-3-small"];

describe.each(PLACES)("an ingestion, on %s", (_, newPlace) => {
  async function library({ path = KELP } = {}) {
    const world = await fakeWorld();
    onTestFinished(() => world.close());
    vi.stubEnv("WORLD_URL", world.url);
    const provider = await fakeOpenAI();
    onTestFinished(() => provider.close());
    const client = {
      apiKey: "none",
      maxRetries: 0,
      configuration: { baseURL: provider.baseURL },
    };
    const named = (name: string) => ({
      name,
      embeddings: new OpenAIEmbeddings({ ...client, model: name, dimensions: 64 }),
    });
    const place = await newPlace();
    const graph = createIngestGraph({
      checkpointer: place.open(),
      model: new ChatOpenAI({ ...client, model: "gpt-4o-mini" }),
      embeddings: { first: named(LARGE), fallback: named(SMALL) },
    });
    const index = newFile("index");
    const request = { path, index, owner: "ada@example.com" };
    /** As a dashboard reads it. */
    const status = async () => {
      const rows = await execute(
        place.url,
        (name) => `SELECT status, current_step, error_message FROM ${name("workflow_status")}`,
      );
      return rows[0];
    };
    return {
      ...{ world, provider, graph, index, status },
      ingest: () => graph.invoke({ request }, syncRun("i")),
      toEnd: () => runToEnd(graph, { request }, { configurable: { thread_id: "i" } }),
      asked: () => provider.embeddings.map(({ body }) => body.model),
      stored: async () =>
        JSON.parse(await readFile(join(index, `${path.split("/").at(-1)}.json`), "utf8")) as {
          model: string;
          passages: { text: string; vector: number[] }[];
        },
    };
  }

  /** Whoever got an e-mail was told of a success: there is no other. */
  const mails = ({ world }: Awaited<ReturnType<typeof library>>) =>
    world.performed("email").map(({ details }) => details["text"]);

  test("stores the passages with their vectors, has them looked over, and tells the owner", async () => {
    const all = await library();
    const { words, passages, remarks } = await all.ingest();
    expect(words).toBeGreaterThan(100);
    const { model, passages: stored } = await all.stored();
    expect(model).toBe(LARGE);
    expect(stored.map(({ text }) => text)).toEqual(passages);
    for (const { vector } of stored) expect(vector).toHaveLength(64);
    expect(all.asked()).toEqual([LARGE]);
    expect(all.provider.requests).toHaveLength(1);
    expect(remarks).not.toBe("");
    expect(mails(all)).toEqual([
      `kelp.md can be found now, by ${passages.length} passages. ${remarks}`,
    ]);
  });

  test("has nobody look over a text of less than 100 words", async () => {
    const path = newFile("note.md");
    await writeFile(path, "# Note\n\nA holdfast keeps the kelp on its rock.");
    const all = await library({ path });
    expect(await all.ingest()).toMatchObject({ words: 10, remarks: "" });
    expect(all.provider.requests).toEqual([]);
    expect(mails(all)).toEqual(["note.md can be found now, by 1 passages."]);
  });

  test("tries again what passes, and takes the other model for what does not", async () => {
    const all = await library();
    const isLarge = ({ model }: { model: string }) => model === LARGE;
    const soon = { headers: { "retry-after-ms": "5" } };
    all.provider.fail({ on: "embeddings", status: 503, times: 2, when: isLarge, ...soon });
    await all.ingest();
    expect(all.asked()).toEqual([LARGE, LARGE, LARGE]);
    expect((await all.stored()).model).toBe(LARGE);

    const other = await library();
    other.provider.fail({ on: "embeddings", status: 404, times: Infinity, when: isLarge });
    await other.ingest();
    expect(other.asked()).toEqual([LARGE, SMALL]);
    expect((await other.stored()).model).toBe(SMALL);
    expect(mails(other)).toHaveLength(1);
  });

  test.each(["invoke", "runToEnd"] as const)(
    "says no word of success where no model embeds, and its status tells within seconds, by %s",
    async (how) => {
      const all = await library();
      all.provider.fail({ on: "embeddings", status: 503, times: Infinity });
      const began = Date.now();
      if (how === "invoke") {
        await expect(all.ingest()).rejects.toMatchObject({ status: 503 });
      } else {
        expect(await all.toEnd()).toMatchObject({ status: "failed", error: { status: 503 } });
      }
      await expect
        .poll(all.status, { timeout: 5_000 })
        .toMatchObject({ status: "failed", current_step: "embed" });
      // Four attempts at each model, with their waits.
      expect(all.asked()).toEqual([LARGE, LARGE, LARGE, LARGE, SMALL, SMALL, SMALL, SMALL]);
      expect(Date.now() - began).toBeLessThan(30_000);
      expect((await all.status())?.["error_message"]).toContain("503");

      expect(all.world.requests).toEqual([]);
      await expect(all.stored()).rejects.toThrow("ENOENT");
      expect(all.provider.requests).toEqual([]);
    },
  );

  test("goes on from where it failed once a model embeds again", async () => {
    const all = await library();
    const heal = all.provider.fail({ on: "embeddings", status: 401, times: Infinity });
    await expect(all.ingest()).rejects.toMatchObject({ status: 401 });
    expect(all.asked()).toEqual([LARGE, SMALL]);
    heal();
    await all.graph.invoke(null, syncRun("i"));
    expect((await all.stored()).model).toBe(LARGE);
    expect(mails(all)).toHaveLength(1);
  });

  test("is the same whatever becomes of the analytics", async () => {
    const failed: unknown[] = [];
    const before = events.onListenerError;
    events.onListenerError = (error) => void failed.push(error);
    onTestFinished(() => void (events.onListenerError = before));
    const heard: string[] = [];
    const well = await loopback((request, response) => {
      request.on("data", (data: Buffer) => void heard.push(data.toString()));
      response.writeHead(204).end();
    });
    const broken = await loopback((__, response) => void response.writeHead(500).end());
    const silent = await loopback(() => undefined);
    const urls = [well.url, broken.url, silent.url, await deadUrl()];
    let told = 0;
    const stops = [
      ...urls.map(sendAnalytics),
      events.on("*", () => {
        told += 1;
        throw new Error("a bug in a listener");
      }),
    ];
    onTestFinished(() => stops.forEach((stop) => stop()));

    const all = await library();
    all.provider.fail({ on: "embeddings", status: 404, times: 1 });
    const { remarks, passages } = await all.ingest();
    expect(mails(all)).toEqual([
      `kelp.md can be found now, by ${passages.length} passages. ${remarks}`,
    ]);
    await expect
      .poll(() => heard.map((line) => (JSON.parse(line) as { event: string }).event))
      .toEqual(
        expect.arrayContaining(["attempt.failed", "fallback.used", "effect.recorded"]) as unknown,
      );
    stops.forEach((stop) => stop());
    for (const server of [well, broken, silent]) await server.close();
    // Each listener but one failed at each event, and nothing else did.
    await expect.poll(() => failed.length).toBe(4 * told);
    expect(failed.map(String)).toEqual(
      expect.arrayContaining([
        expect.stringContaining("answered with 500"),
        expect.stringContaining("fetch failed"),
        expect.stringContaining("a bug in a listener"),
      ]),
    );
  });
});
