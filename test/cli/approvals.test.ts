import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { TestProject } from "./support/project.ts";

const project = new TestProject();
afterAll(() => project.remove());

const index = JSON.stringify(join(import.meta.dirname, "../../src/index.ts"));
project.write(
  "approving.ts",
  `import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { approval } from ${index};
const State = Annotation.Root({ topic: Annotation<string>() });
export const approving = new StateGraph(State)
  .addNode("ask", async ({ topic }) => (await approval({ title: "Publish?", payload: { topic } })).payload)
  .addEdge(START, "ask")
  .addEdge("ask", END)
  .compile();
`,
);
const graph = "./approving.ts:approving";

interface Shown {
  id: string;
  status: string;
  answers: { by?: string }[];
}

async function begin(threadId: string): Promise<string> {
  const words = ["run", graph, "-t", threadId, "-i", '{"topic":"kelp"}'];
  expect((await project.call(words)).code).toBe(5);
  const [open] = await project.json<Shown[]>(["approvals", "ls", "--thread", threadId]);
  return open?.id ?? "";
}

describe("holdfast approvals", () => {
  it("lists what people are asked, and takes their answers by id", async () => {
    const id = await begin("a");
    const listed = await project.call(["approvals", "ls"]);
    expect(listed.out).toMatch(/Publish\?.*topic.*kelp/);
    const resume = ["resume", "a", graph];
    expect((await project.call(resume)).code).toBe(5);

    const said = await project.call(["approvals", "approve", id.slice(0, 6), "--by", "ada"]);
    expect(said).toMatchObject({ code: 0, out: `${id}  approved\n` });
    expect(said.err).toContain("holdfast resume a");
    expect((await project.call(resume)).out).toContain("topic  kelp");
    expect((await project.call(["approvals", "ls"])).err).toContain("Nobody is waited for.");
    expect(await project.json<Shown>(["approvals", "show", id])).toMatchObject({
      status: "approved",
      answers: [{ by: "ada", verb: "approve" }],
    });
  });

  it("edits and rejects", async () => {
    const edited = await begin("b");
    const payload = '{"topic":"dulse"}';
    await project.call(["approvals", "edit", edited, "--payload", payload]);
    expect((await project.call(["resume", "b", graph])).out).toContain("topic  dulse");

    const rejected = await begin("c");
    await project.call(["approvals", "reject", rejected, "--by", "bob", "--reason", "not yet"]);
    const failed = await project.call(["resume", "c", graph]);
    expect(failed.code).toBe(1);
    expect(failed.err).toContain('"Publish?" was rejected by bob: not yet');
  });

  it.each([
    [["approvals", "approve", "ffff"], 3, /There is no approval "ffff"/],
    [["approvals", "approve", "zz"], 2, /up to 32 hex digits, not "zz"/],
    [["approvals", "approve"], 2, /missing required argument/],
  ])("%j ends with %i", async (words, code, message) => {
    const said = await project.call(words);
    expect(said).toMatchObject({ code, out: "" });
    expect(said.err).toMatch(message);
  });

  it("has a graph's gates, too: approved, edited or rejected by their ids", async () => {
    const words = (threadId: string): string[] => [
      "run",
      "gated",
      "-t",
      threadId,
      "-i",
      '{"topic":"kelp"}',
    ];
    const gateOf = async (threadId: string): Promise<string> => {
      expect((await project.call(words(threadId))).code).toBe(5);
      const [open, ...more] = await project.json<Shown[]>(["approvals", "ls", "-t", threadId]);
      expect(open).toMatchObject({ kind: "breakpoint", node: "publish" });
      expect(more).toEqual([]);
      return open?.id ?? "";
    };
    await project.call(["approvals", "approve", await gateOf("g1"), "--by", "ada"]);
    expect((await project.call(["resume", "g1"])).code).toBe(0);

    const edit = ["approvals", "edit", await gateOf("g2"), "--payload", '{"topic":"dulse"}'];
    expect((await project.call(edit)).code).toBe(0);
    expect((await project.call(["resume", "g2"])).out).toContain("topic  dulse");

    await project.call(["approvals", "reject", await gateOf("g3"), "--by", "bob"]);
    project.ran();
    const rejected = await project.call(["resume", "g3"]);
    expect(rejected.code).toBe(1);
    expect(rejected.err).toContain("was rejected by bob");
    expect(project.ran()).toEqual([]);

    // Approved on the spot, it is no question any more.
    await gateOf("g4");
    expect((await project.call(["resume", "g4", "--approve"])).code).toBe(0);
    expect(await project.json(["approvals", "ls", "-t", "g4"])).toEqual([]);
  });

  it("says no to an answer that comes too late", async () => {
    const id = await begin("d");
    expect((await project.call(["approvals", "approve", id])).code).toBe(0);
    const late = await project.call(["approvals", "reject", id]);
    expect(late.code).toBe(2);
    expect(late.err).toContain("is approved already");
  });
});
