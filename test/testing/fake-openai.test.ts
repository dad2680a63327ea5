/** The loopback server, seen through the real client: ChatOpenAI. */

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { type AIMessage, HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { concat } from "@langchain/core/utils/stream";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { failTimes, fakeOpenAI, type FakeOpenAI, type FakeOpenAIOptions } from "holdfast/testing";
import { afterEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";

const KELP = `<document name="kelp.md">
# Kelp forests

Kelp grows up to half a metre a day. A holdfast keeps the kelp on its rock.

## Urchins

Sea urchins graze on the holdfast. Otters eat urchins, which protects the forest.
</document>`;

const open: FakeOpenAI[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

async function serve(options?: FakeOpenAIOptions) {
  const server = await fakeOpenAI(options);
  open.push(server);
  const model = (fields: { timeout?: number } = {}) =>
    new ChatOpenAI({
      model: "gpt-4o",
      apiKey: "none",
      maxRetries: 0,
      configuration: { baseURL: server.baseURL },
      ...fields,
    });
  return { server, model };
}

const Tokens = z.object({
  promptTokens: z.number(),
  completionTokens: z.number(),
  totalTokens: z.number(),
});

function tokensOf(message: AIMessage) {
  return Tokens.parse(message.response_metadata["tokenUsage"]);
}

async function collect<T>(stream: Promise<AsyncIterable<T>>): Promise<T[]> {
  const chunks: T[] = [];
  for await (const chunk of await stream) chunks.push(chunk);
  return chunks;
}

describe("answers", () => {
  test("come from the documents in the prompt, and change with the question", async () => {
    const { server, model } = await serve();
    const otters = await model().invoke(`Question: What do otters eat?\n${KELP}`);
    const growth = await model().invoke(`Question: How much does kelp grow in a day?\n${KELP}`);

    expect(otters.text).toContain("Otters eat urchins, which protects the forest.");
    expect(growth.text).toContain("Kelp grows up to half a metre a day.");
    expect(server.requests.map(({ outcome }) => outcome)).toEqual(["answered", "answered"]);
    expect(server.requests[0]?.body.model).toBe("gpt-4o");
  });

  test("are equal for equal requests, and change with the document", async () => {
    const { model } = await serve();
    const ask = (documents: string) =>
      model().invoke(`Question: What do otters eat?\n${documents}`);
    const [first, again] = [await ask(KELP), await ask(KELP)];
    const edited = await ask(KELP.replace("Otters eat urchins", "Otters eat crabs"));

    expect(again.text).toBe(first.text);
    expect(edited.text).toContain("Otters eat crabs");
  });

  test("need no convention: a bare question over a bare text works", async () => {
    const { model } = await serve();
    const answer = await model().invoke([
      new SystemMessage("You are helpful."),
      new HumanMessage(
        "The ferry leaves at noon. The museum is closed. When does the ferry leave?",
      ),
    ]);
    expect(answer.text).toContain("The ferry leaves at noon.");
  });

  test("cite the quotes of a section by id", async () => {
    const { model } = await serve();
    const answer = await model().invoke(
      `Topic: otters\n<section heading="Food">\n<quote id="7">Otters eat urchins every day.</quote>\n</section>`,
    );
    expect(answer.text).toContain("## Food\n\nOtters eat urchins every day. [7]");
  });

  test("count their tokens", async () => {
    const { model } = await serve();
    const short = await model().invoke(`Question: What do otters eat?\n${KELP}`);
    const long = await model().invoke(`Question: What do otters eat?\n${KELP}\n${KELP}`);

    const [a, b] = [tokensOf(short), tokensOf(long)];
    expect(a.totalTokens).toBe(a.promptTokens + a.completionTokens);
    expect(a.completionTokens).toBe(Math.ceil((short.text.length + 2) / 4));
    expect(b.promptTokens).toBeGreaterThan(a.promptTokens + KELP.length / 5);
    expect(short.usage_metadata).toMatchObject({ input_tokens: a.promptTokens });
  });

  test("can be given by the user, who may leave some to the server", async () => {
    const { model } = await serve({
      answer: ({ messages }) => (messages.length === 1 ? "forty-two" : undefined),
    });
    expect((await model().invoke("What?")).text).toBe("forty-two");
    const computed = await model().invoke([
      new SystemMessage("Short, please."),
      new HumanMessage(`Question: What do otters eat?\n${KELP}`),
    ]);
    expect(computed.text).toContain("Otters eat urchins");
  });

  test("list the models", async () => {
    const { server } = await serve({ models: ["kelp-1"] });
    const response = await fetch(`${server.baseURL}/models`);
    expect(await response.json()).toMatchObject({ object: "list", data: [{ id: "kelp-1" }] });
  });
});

describe("structured output", () => {
  const schema = z.object({
    sections: z.array(z.object({ heading: z.string(), question: z.string() })),
    quotes: z.array(z.object({ text: z.string() })),
    verdict: z.enum(["otters", "sharks"]),
    metres: z.number().nullable(),
    covered: z.boolean(),
  });

  test.for(["jsonSchema", "functionCalling"] as const)("fills the schema (%s)", async (method) => {
    const { model } = await serve();
    const filled = await model()
      .withStructuredOutput(schema, { method, name: "notes" })
      .invoke(`Topic: which animals eat urchins\n${KELP}`);

    expect(schema.parse(filled)).toEqual(filled);
    expect(filled.sections[0]).toEqual({
      heading: "Urchins",
      question: expect.stringContaining("Urchins"),
    });
    for (const { text } of filled.quotes) expect(KELP).toContain(text);
    expect(filled.verdict).toBe("otters");
  });
});

describe("tools", () => {
  const weather = tool(({ city }) => `It is raining in ${city}.`, {
    name: "get_weather",
    description: "The weather in a city today",
    schema: z.object({ city: z.string(), query: z.string() }),
  });
  const question = "What is the weather in Oslo?";

  test("the fitting tool is called, and its result is the answer's source", async () => {
    const { model } = await serve();
    const bound = model().bindTools([weather]);
    const call = await bound.invoke(question);

    expect(call.tool_calls).toMatchObject([{ name: "get_weather", args: { query: question } }]);
    const result = new ToolMessage({
      content: "It is raining in Oslo all day.",
      tool_call_id: call.tool_calls![0]!.id!,
    });
    const answer = await bound.invoke([new HumanMessage(question), call, result]);
    expect(answer.tool_calls).toEqual([]);
    expect(answer.text).toContain("It is raining in Oslo");
  });

  test("no tool is called for another question, and one is when demanded", async () => {
    const { model } = await serve();
    const free = await model().bindTools([weather]).invoke("Say hello to the nice people.");
    expect(free.tool_calls).toEqual([]);
    const forced = await model()
      .bindTools([weather], { tool_choice: "get_weather" })
      .invoke("Say hello to the nice people.");
    expect(forced.tool_calls).toHaveLength(1);
  });
});

describe("streaming", () => {
  test("the chunks make up the whole answer, with its usage", async () => {
    const { model } = await serve();
    const prompt = `Question: What do otters eat?\n${KELP}`;
    const whole = await model().invoke(prompt);
    const chunks = await collect(model().stream(prompt));

    expect(chunks.length).toBeGreaterThan(5);
    expect(chunks.map(({ text }) => text).join("")).toBe(whole.text);
    const usages = chunks.map((chunk) => chunk.usage_metadata).filter(Boolean);
    expect(usages).toMatchObject([
      {
        input_tokens: tokensOf(whole).promptTokens,
        output_tokens: tokensOf(whole).completionTokens,
      },
    ]);
  });

  test("tool calls stream too", async () => {
    const { model } = await serve({
      answer: () => ({ toolCalls: [{ name: "add", args: { a: 1, b: 2 } }] }),
    });
    const adder = tool(() => "3", {
      name: "add",
      schema: z.object({ a: z.number(), b: z.number() }),
    });
    const chunks = await collect(model().bindTools([adder]).stream("1 + 2?"));
    const streamed = chunks.reduce((sum, chunk) => concat(sum, chunk));
    expect(chunks.length).toBeGreaterThan(3);
    expect(streamed.tool_calls).toMatchObject([{ name: "add", args: { a: 1, b: 2 } }]);
  });
});

describe("embeddings", () => {
  async function embeddings(fields: { dimensions?: number; encodingFormat?: "float" } = {}) {
    const { server } = await serve();
    const model = new OpenAIEmbeddings({
      model: "text-embedding-3-small",
      apiKey: "none",
      maxRetries: 0,
      configuration: { baseURL: server.baseURL },
      ...fields,
    });
    return { server, model };
  }
  const product = (a: number[], b: number[]) =>
    a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);

  test("are equal for equal texts, near for texts that share words, and of length 1", async () => {
    const { server, model } = await embeddings();
    const texts = ["Otters eat urchins.", "Urchins eat kelp.", "The train is late."];
    const [otters = [], urchins = [], train = []] = await model.embedDocuments(texts);
    expect(otters).toHaveLength(1_536);
    for (const vector of [otters, urchins, train]) {
      expect(product([...vector], [...vector])).toBeCloseTo(1, 5);
    }
    expect([...(await model.embedQuery(texts[0] ?? ""))]).toEqual([...otters]);
    expect(product([...otters], [...urchins])).toBeGreaterThan(product([...otters], [...train]));
    expect(server.embeddings.map(({ body, outcome }) => [body.input, outcome])).toEqual([
      [texts, "answered"],
      [texts[0], "answered"],
    ]);
    expect(server.requests).toEqual([]);
  });

  test("are the same as numbers as in base64, and as long as asked for", async () => {
    const { model: numbers } = await embeddings({ dimensions: 64, encodingFormat: "float" });
    const { model: bytes } = await embeddings({ dimensions: 64 });
    const asNumbers = await numbers.embedQuery("kelp on a rock");
    expect(asNumbers).toHaveLength(64);
    expect([...(await bytes.embedQuery("kelp on a rock"))]).toEqual(asNumbers);
  });

  test("fail as scripted for them, and chat completions do not", async () => {
    const { server, model } = await embeddings();
    server.fail({ on: "embeddings", status: 503, when: ({ input }) => input === "kelp" });
    expect(await model.embedQuery("rock")).toHaveLength(1_536);
    await expect(model.embedQuery("kelp")).rejects.toMatchObject({ status: 503 });
    expect(await model.embedQuery("kelp")).toHaveLength(1_536);
    server.fail({ on: "embeddings", cut: true });
    await expect(model.embedQuery("kelp")).rejects.toThrow();
    expect(server.embeddings.map(({ outcome }) => outcome)).toEqual([
      ...["answered", "failed", "answered", "cut"],
    ]);
    server.fail({ status: 429 });
    expect(await model.embedQuery("kelp")).toHaveLength(1_536);
  });

  test("of nothing are refused", async () => {
    const { server } = await serve();
    for (const input of [[], "", [1, 2], undefined]) {
      const body = JSON.stringify({ model: "text-embedding-3-small", input });
      const response = await fetch(`${server.baseURL}/embeddings`, { method: "POST", body });
      expect(response.status).toBe(400);
    }
    expect(server.embeddings).toEqual([]);
  });
});

describe("faults", () => {
  test("429 with Retry-After, then a right answer", async () => {
    const { server, model } = await serve();
    server.fail({ status: 429, headers: { "retry-after": "2" } });

    const error: unknown = await model()
      .invoke("Hello?")
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
    expect(error).toHaveProperty("headers", expect.any(Headers));
    expect(new Headers(Object(error).headers).get("retry-after")).toBe("2");
    expect((await model().invoke("Hello?")).text).not.toBe("");
    expect(server.requests.map(({ outcome }) => outcome)).toEqual(["failed", "answered"]);
  });

  test("come after so many requests, so many times, and only where they apply", async () => {
    const { server, model } = await serve();
    server.fail({ status: 500, after: 1, times: 2, when: ({ stream }) => stream !== true });
    const statuses = [];
    for (let call = 0; call < 5; call += 1)
      statuses.push(
        await model()
          .invoke("Hello?")
          .then(
            () => 200,
            ({ status }) => status,
          ),
      );
    expect(statuses).toEqual([200, 500, 500, 200, 200]);

    const endOutage = server.fail({ status: 503, times: Infinity, body: "down for maintenance" });
    await expect(model().invoke("Hello?")).rejects.toMatchObject({ status: 503 });
    await expect(model().invoke("Hello?")).rejects.toMatchObject({ status: 503 });
    endOutage();
    await model().invoke("Hello?");
  });

  test("a hang ends with the client's timeout", async () => {
    const { server, model } = await serve();
    server.fail({ hang: true });
    await expect(model({ timeout: 150 }).invoke("Hello?")).rejects.toThrow(/timed? ?out/i);
    await vi.waitFor(() => expect(server.requests[0]?.outcome).toBe("aborted"));
  });

  test("a stream that falls silent has delivered its first half", async () => {
    const { server, model } = await serve();
    server.fail({ hang: "midway" });
    const stop = new AbortController();
    const received: string[] = [];
    const reading = (async () => {
      const prompt = `Question: What do otters eat?\n${KELP}`;
      for await (const { text } of await model().stream(prompt, { signal: stop.signal })) {
        received.push(text);
        if (text.trim() !== "") stop.abort();
      }
    })();
    await expect(reading).rejects.toThrow(/abort/i);
    expect(received.join("")).not.toBe("");
    await vi.waitFor(() => expect(server.requests[0]?.outcome).toBe("aborted"));
  });

  test("a stream cut in the middle is an error after its first half", async () => {
    const { server, model } = await serve();
    const prompt = `Question: What do otters eat?\n${KELP}`;
    const whole = await model().invoke(prompt);
    server.fail({ cut: true, times: 2 });
    const received: string[] = [];
    const reading = (async () => {
      for await (const { text } of await model().stream(prompt)) received.push(text);
    })();
    await expect(reading).rejects.toThrow("terminated");
    expect(received.join("")).not.toBe("");
    expect(whole.text.startsWith(received.join(""))).toBe(true);
    expect(received.join("")).not.toBe(whole.text);
    await expect(model().invoke(prompt)).rejects.toThrow("terminated");
    expect(server.requests.map(({ outcome }) => outcome)).toEqual(["answered", "cut", "cut"]);
  });

  test("a client that leaves before its answer does no harm", async () => {
    const { promise: mayAnswer, resolve: answer } = Promise.withResolvers<void>();
    const { server, model } = await serve({ answer: () => mayAnswer.then(() => undefined) });
    const leaving = model({ timeout: 100 }).invoke("Hello?");
    await expect(leaving).rejects.toThrow(/timed? ?out/i);
    await vi.waitFor(() => expect(server.requests[0]?.outcome).toBe("aborted"));
    answer();
    expect((await model().invoke("Hello?")).text).not.toBe("");
    expect(server.requests.map(({ outcome }) => outcome)).toEqual(["aborted", "answered"]);
  });

  test("a delayed answer is right", async () => {
    const { server, model } = await serve();
    server.fail({ delay: 300 });
    const started = performance.now();
    expect((await model().invoke("Is the ferry late?")).text).not.toBe("");
    expect(performance.now() - started).toBeGreaterThan(290);
  });

  test("closing ends what hangs, and may be done twice", async () => {
    const { server, model } = await serve();
    server.fail({ hang: true });
    const pending = model()
      .invoke("Hello?")
      .catch(() => "ended");
    await vi.waitFor(() => expect(server.requests).toHaveLength(1));
    await Promise.all([server.close(), server.close()]);
    expect(await pending).toBe("ended");
  });

  test("a request that is none gets a 400, and an unknown path a 404", async () => {
    const { server } = await serve();
    const bad = await fetch(`${server.baseURL}/chat/completions`, { method: "POST", body: "{" });
    expect(bad.status).toBe(400);
    expect((await fetch(`${server.baseURL}/images`, { method: "POST" })).status).toBe(404);
    expect(server.requests).toHaveLength(0);
  });
});

test("a server in the background lets its process end", async () => {
  const script = `
    import { fakeOpenAI } from "holdfast/testing";
    const { baseURL } = await fakeOpenAI({ background: true });
    const body = JSON.stringify({ model: "m", messages: [{ role: "user", content: "Hello there" }] });
    const response = await fetch(baseURL + "/chat/completions", { method: "POST", body });
    console.log(response.status);`;
  const options = ["--conditions=holdfast-source", "--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, options, {
    cwd: join(import.meta.dirname, "../.."),
    timeout: 20_000,
  });
  expect(stdout).toBe("200\n");
});

test("failTimes fails so often, then lets through", async () => {
  const double = failTimes(2, (n: number) => 2 * n);
  await expect(double(1)).rejects.toThrow("scripted failure 1 of 2");
  await expect(double(1)).rejects.toThrow("scripted failure 2 of 2");
  expect(await double(21)).toBe(42);
});
