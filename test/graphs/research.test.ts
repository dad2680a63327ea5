/** The research agent, on real documents, through the real client, on the loopback server. */

import { cp, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChatOpenAI } from "@langchain/openai";
import { SqliteSaver } from "holdfast/sqlite";
import { fakeOpenAI, ManualClock, type FakeOpenAIOptions } from "holdfast/testing";
import { afterEach, describe, expect, test } from "vitest";
import { createResearchGraph, type ResearchOptions } from "../../graphs/research.ts";
import { publishFile } from "../../graphs/research/publish.ts";
import { findQuote } from "../../graphs/research/quotes.ts";

const DOCUMENTS = join(import.meta.dirname, "documents");
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-research-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A graph with a saver of its own, and one thread in it. */
async function prepare(options: ResearchOptions & FakeOpenAIOptions = {}) {
  const { answer, ...rest } = options;
  const server = await fakeOpenAI(answer ? { answer } : {});
  cleanups.push(() => server.close());
  const folder = await temporaryFolder();
  const documents = join(folder, "documents");
  await cp(DOCUMENTS, documents, { recursive: true });
  const reportPath = join(folder, "out", "report.md");
  const { clock } = options;
  const database = join(folder, "agents.db");
  const saver = SqliteSaver.fromConnString(database, clock && { clock });
  cleanups.push(() => saver.end());
  const graph = createResearchGraph({
    checkpointer: saver,
    model: new ChatOpenAI({
      model: "gpt-4o-mini",
      apiKey: "none",
      maxRetries: 0,
      configuration: { baseURL: server.baseURL },
    }),
    ...rest,
  });
  const thread = { configurable: { thread_id: "t" }, durability: "sync" as const };
  const input = { topic: "recovery of kelp forests", folder: documents, reportPath };
  const published = () => readFile(reportPath, "utf8");
  return { server, graph, saver, thread, input, documents, reportPath, published };
}

/** The quotes of a published report, as its readers find them. */
function citations(report: string): { file: string; line: number; quote: string }[] {
  const pattern = /^\d+\. `(.+)`, line (\d+)\n\n((?: {3}> .*\n)+)/gm;
  return Array.from(report.matchAll(pattern), ([, file, line, quoted]) => ({
    file: file!,
    line: Number(line),
    quote: quoted!
      .trimEnd()
      .split("\n")
      .map((each) => each.slice(5))
      .join("\n"),
  }));
}

async function publish({ graph, thread, input, published }: Awaited<ReturnType<typeof prepare>>) {
  await graph.invoke(input, thread);
  await graph.invoke(null, thread);
  return published();
}

describe("the report", () => {
  test("quotes word for word, with file and line", async () => {
    const agent = await prepare();
    const report = await publish(agent);

    const quotes = citations(report);
    expect(quotes.length).toBeGreaterThanOrEqual(5);
    expect(new Set(quotes.map(({ file }) => file)).size).toBe(3);
    for (const { file, line, quote } of quotes) {
      const text = await readFile(join(agent.documents, file), "utf8");
      const place = text.indexOf(
        quote,
        text
          .split("\n")
          .slice(0, line - 1)
          .join("\n").length,
      );
      expect(place, `${file}:${line} ${quote}`).toBeGreaterThanOrEqual(0);
      expect(text.slice(0, place).split("\n").length, quote).toBe(line);
    }
    const body = report.slice(0, report.indexOf("\n## Sources\n"));
    const mentioned = Array.from(body.matchAll(/\[(\d+)\]/g), ([, number]) => Number(number));
    expect([...new Set(mentioned)]).toEqual(quotes.map((_, index) => index + 1));
  });

  test("is more than twenty steps' work", async () => {
    const { graph, thread, input } = await prepare();
    const nodes: string[] = [];
    for await (const update of await graph.stream(input, { ...thread, streamMode: "updates" }))
      nodes.push(...Object.keys(update));
    const count = (node: string) => nodes.filter((other) => other === node).length;

    expect(nodes.length).toBeGreaterThan(20);
    expect(count("search")).toBe(5);
    expect(count("read")).toBeGreaterThanOrEqual(5);
    expect(count("extract")).toBe(count("read"));
  });

  test("changes with the topic", async () => {
    const agent = await prepare();
    const one = await publish(agent);
    const other = await prepare();
    const two = await publish({ ...other, input: { ...other.input, topic: "threats to otters" } });

    expect(one).toContain("Where otters return, urchins become rare and kelp forests recover.");
    expect(two).not.toContain("kelp forests recover.");
    expect(two).toContain("Oil spills are the worst threat");
    expect(citations(two)).not.toEqual(citations(one));
  });

  test("changes with an edited document", async () => {
    const agent = await prepare();
    const otters = join(agent.documents, "otters.md");
    const text = await readFile(otters, "utf8");
    await writeFile(otters, text.replace("urchins become rare and", "urchins vanish at once and"));
    const report = await publish(agent);

    expect(report).toContain(
      "Where otters return, urchins vanish at once and kelp forests recover.",
    );
    expect(report).not.toContain("become rare");
  });

  test("is the same for the same documents", async () => {
    expect(await publish(await prepare())).toBe(await publish(await prepare()));
  });

  test("drops what the model made up", async () => {
    const invented = "Kelp forests were planted by the Romans in the year 79.";
    const agent = await prepare({
      answer: ({ response_format: format, messages }) =>
        format?.json_schema?.name === "quotes" && JSON.stringify(messages).includes("otters.md")
          ? JSON.stringify({
              quotes: [{ text: invented }, { text: "They wrap themselves\nin kelp to sleep." }],
            })
          : undefined,
    });
    const report = await publish(agent);

    expect(report).not.toContain("Romans");
    const { evidence } = (await agent.graph.getState(agent.thread)).values;
    expect(evidence).toContainEqual(
      expect.objectContaining({
        file: "otters.md",
        line: 3,
        quote: "They wrap themselves in kelp to sleep.",
      }),
    );
  });

  test("needs documents", async () => {
    const agent = await prepare();
    const folder = await temporaryFolder();
    await expect(agent.graph.invoke({ ...agent.input, folder }, agent.thread)).rejects.toThrow(
      `There are no .md or .txt files in ${folder}.`,
    );
  });
});

describe("the gate", () => {
  test("holds until somebody lets the run through", async () => {
    const { graph, thread, input, reportPath, published } = await prepare();
    const waiting = await graph.invoke(input, thread);

    expect((await graph.getState(thread)).next).toEqual(["review"]);
    expect(waiting.body).toContain("## ");
    expect(waiting.published).toBeNull();
    await expect(stat(reportPath)).rejects.toThrow("ENOENT");

    // What approves it is LangGraph's own: to go on from the gate without new input.
    const done = await graph.invoke(null, thread);
    expect(done.published?.path).toBe(reportPath);
    expect((await graph.getState(thread)).next).toEqual([]);
    expect(await published()).toContain("# recovery of kelp forests\n");
  });

  test("comes again after each revision, which follows the notes", async () => {
    const { graph, thread, input, reportPath, published } = await prepare();
    const first = await graph.invoke(input, thread);

    await graph.updateState(thread, { notes: "say more about culling urchins by hand" });
    const second = await graph.invoke(null, thread);
    expect((await graph.getState(thread)).next).toEqual(["review"]);
    expect(second).toMatchObject({ revision: 1, notes: "", published: null });
    expect(second.body).not.toBe(first.body);
    expect(second.body).toContain("say more about culling urchins by hand");

    await graph.updateState(thread, { notes: "start with otters" });
    const third = await graph.invoke(null, thread);
    expect(third.revision).toBe(2);
    await expect(stat(reportPath)).rejects.toThrow("ENOENT");

    await graph.invoke(null, thread);
    expect(await published()).toContain("start with otters");
  });

  test("may be gone back behind: a fork has its own outline and only its own quotes", async () => {
    const { graph, thread, input } = await prepare();
    await graph.invoke(input, thread);
    const question = "Do otters eat urchins, crabs or abalone?";
    const branch = await graph.updateState(
      thread,
      { outline: [{ heading: "Food", question }] },
      "plan",
    );
    await graph.invoke(null, { ...thread, ...branch });

    const { values } = await graph.getState(thread);
    expect(values.readings.map((reading: { question: string }) => reading.question)).not.toContain(
      expect.not.stringMatching(question),
    );
    expect(values.body.match(/^## .+$/gm)).toEqual(["## Food"]);
    expect(values.body).toContain("Otters eat urchins");
  });
});

describe("the deadline", () => {
  test("in the past fails the first step, and names it", async () => {
    const clock = new ManualClock();
    const { graph, thread, input, server } = await prepare({ clock });
    const deadlineAt = clock.now() - 6_000;
    const late = graph.invoke({ ...input, startedAt: deadlineAt - 4_000, deadlineAt }, thread);
    await expect(late).rejects.toMatchObject({
      name: "DeadlineExceededError",
      code: "DEADLINE_EXCEEDED",
      deadlineAt,
      message: expect.stringContaining('"survey"'),
    });
    expect(server.requests).toEqual([]);
  });

  test("is checked at each step, parallel ones too; a fork with a later one goes on", async () => {
    const clock = new ManualClock();
    const { graph, thread, input, server } = await prepare({
      clock,
      timeAllowed: 60_000,
      answer: async () => {
        await clock.advance(40_000);
        return undefined;
      },
    });
    // Each call takes 40 s: the plan's, and then those of the first two extracts; the third is late.
    const failed = graph.invoke(input, { ...thread, maxConcurrency: 2 });
    await expect(failed).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      message: expect.stringContaining('"extract"'),
    });
    expect(server.requests).toHaveLength(3);

    for await (const { config, next } of graph.getStateHistory(thread))
      if (next[0] === "search") {
        const later = { deadlineAt: clock.now() + 3_600_000 };
        const branch = await graph.updateState(config, later, "plan");
        await graph.invoke(null, { ...thread, ...branch });
      }
    expect((await graph.getState(thread)).next).toEqual(["review"]);
  });

  test("does not run while a person reviews", async () => {
    const clock = new ManualClock();
    const { graph, saver, thread, input, published } = await prepare({
      clock,
      timeAllowed: 60_000,
    });
    await graph.invoke(input, thread);
    // The last sign of life, which the wait is counted from, is stored soon, and not at once.
    await saver.steps.status.flush();
    await clock.advance(3 * 24 * 3_600_000);
    await graph.invoke(null, thread);

    expect(await published()).toContain("## Sources");
    expect((await graph.getState(thread)).next).toEqual([]);
  });
});

describe("a provider that fails for a while", () => {
  test("is asked again, and only about what it failed at", async () => {
    const undisturbed = await prepare();
    const report = await publish(undisturbed);
    const { graph, thread, input, server, published } = await prepare();
    server.fail({ status: 503, headers: { "retry-after-ms": "10" }, times: 2 });
    server.fail({ status: 429, headers: { "retry-after-ms": "10" }, after: 4 });
    await graph.invoke(input, thread);
    await graph.invoke(null, thread);
    expect(await published()).toBe(report);
    expect(server.requests).toHaveLength(undisturbed.server.requests.length + 3);
  });
});

describe("publishing", () => {
  test("is done once, however often it is tried, and leaves nothing beside", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "deep", "report.md");
    const sha256 = await publishFile(path, "one\n");
    const { ino, mtimeMs } = await stat(path);
    expect(await publishFile(path, "one\n")).toBe(sha256);
    expect(await stat(path)).toMatchObject({ ino, mtimeMs });

    await writeFile(`${path}.${sha256.slice(0, 8)}.tmp`, "what a crash left beh");
    await writeFile(path, "something else");
    expect(await publishFile(path, "one\n")).toBe(sha256);
    expect(await readFile(path, "utf8")).toBe("one\n");
    expect(await readdir(join(folder, "deep"))).toEqual(["report.md"]);
  });
});

describe("finding a quote", () => {
  const text = "One line says it.\nIt goes on\n  over two lines (really?).\nOne line says it.\n";

  test("allows other line breaks, and returns the file's own text", () => {
    expect(findQuote(text, "It goes on over two lines (really?).")).toEqual({
      quote: "It goes on\n  over two lines (really?).",
      line: 2,
    });
  });

  test("prefers the passage that was read", () => {
    expect(findQuote(text, "One line says it.")?.line).toBe(1);
    expect(findQuote(text, "One line says it.", 3)?.line).toBe(4);
  });

  test("takes no other word, no scrap, and no whole file", () => {
    expect(findQuote(text, "It goes on over three lines")).toBeUndefined();
    expect(findQuote(text, "it goes on over two lines")).toBeUndefined();
    expect(findQuote(text, "says it")).toBeUndefined();
    expect(findQuote("word ".repeat(500), "word ".repeat(400))).toBeUndefined();
  });
});

test("langgraph.json names the graphs, compiled, and with the gate of this one", async () => {
  const root = join(import.meta.dirname, "../..");
  const config = JSON.parse(await readFile(join(root, "langgraph.json"), "utf8")) as {
    graphs: Record<string, string>;
  };
  expect(Object.keys(config.graphs)).toEqual(["booking", "ingest", "research", "returns"]);
  for (const [name, spec] of Object.entries(config.graphs)) {
    const [file = "", exported = ""] = spec.split(":");
    const module = (await import(join(root, file))) as Record<string, unknown>;
    expect(module[exported], name).toMatchObject({ invoke: expect.any(Function) });
    if (name === "research")
      expect(module[exported]).toMatchObject({ interruptBefore: ["review"] });
  }
});
