/** The same commands over Postgres: what runs there, and what is said of the database. */

import { PostgresSaver as OfficialSaver } from "@langchain/langgraph-checkpoint-postgres";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadGraph } from "../../src/cli/graph.ts";
import { withSaver } from "../../src/run/graph.ts";
import { createDatabase } from "../support/databases.ts";
import { TestProject } from "./support/project.ts";
import type { Said } from "./support/project.ts";

const project = new TestProject();
let url = "";
beforeAll(async () => {
  url = await createDatabase();
});
afterAll(() => project.remove());

const call = (...words: string[]): Promise<Said> => project.call([...words, "--db", url]);

describe("on Postgres", () => {
  it("a thread is run, held at its gate, approved, listed, forked and pruned", async () => {
    expect((await call("doctor")).out).toMatch(/warn +schema +no tables of holdfast yet/);
    expect((await call("run", "gated", "-t", "pg-1", "-i", '{"topic":"kelp"}')).code).toBe(5);
    expect((await call("resume", "pg")).code).toBe(5);
    expect((await call("resume", "pg", "--approve")).code).toBe(0);
    expect(project.ran()).toEqual(["plan", "write", "publish", "tell"]);
    expect((await call("threads", "ls")).out).toContain("graph_id=gated");
    const history = await project.json<{ checkpointId: string; node: string }[]>([
      ...["threads", "history", "pg-1", "--db", url],
    ]);
    const before = history.find(({ node }) => node === "write")?.checkpointId ?? "";
    expect((await call("threads", "fork", "pg-1", "--checkpoint", before, "--run")).code).toBe(5);
    expect((await call("threads", "copy", "pg-1", "pg-2")).code).toBe(0);
    expect((await call("threads", "prune", "pg-2", "--latest-only")).code).toBe(0);
    expect((await call("threads", "stats", "pg-2")).out).toMatch(/checkpoints +\d+ /);
    expect((await call("threads", "rm", "pg-2", "--yes")).code).toBe(0);
    expect((await call("resume", "pg-2")).code).toBe(3);
    expect((await call("migrate")).out).toContain("up to date");
    expect((await call("doctor")).out).toMatch(/ok +synchronous_commit +on/);
  });

  it("tables stand in the schema that the URL names, and threads move between databases", async () => {
    const other = `${url}?schema=elsewhere`;
    expect((await project.call(["threads", "ls", "--db", other])).out).toBe("");
    const words = ["import", "--from", url, "--to", "sqlite:from-postgres.db"];
    expect(await project.json(words)).toMatchObject({ threads: 1, failed: [] });
    const back = ["import", "--from", "sqlite:from-postgres.db", "--to", other];
    expect(await project.json(back)).toMatchObject({ threads: 1, failed: [] });
    const show = ["threads", "state", "pg-1", "--graph", "gated", "--db", other];
    const state = await project.json(show);
    expect(state).toMatchObject({ status: "waiting", values: { topic: "kelp" } });
  });

  it("threads of the official saver are brought over, beside its tables, and go on", async () => {
    const database = await createDatabase();
    const official = OfficialSaver.fromConnString(database);
    await official.setup();
    const source = { name: "gated", file: project.path("agents.ts"), exported: "gated" };
    const graph = withSaver(await loadGraph(source, {}), official as never);
    const config = { configurable: { thread_id: "old" } };
    for await (const _ of await graph.stream({ topic: "dulse" }, config));
    await official.end();
    project.ran();
    const words = ["import", "--from", database, "--db", database];
    expect(await project.json(words)).toMatchObject({ threads: 1, checkpoints: 4, failed: [] });
    expect(await project.json(words)).toMatchObject({ threads: 0, skipped: 4, failed: [] });
    const resume = ["resume", "old", "gated", "--db", database];
    expect((await project.call(resume)).code).toBe(5);
    expect((await project.call([...resume, "--approve"])).out).toContain("topic  dulse");
    expect(project.ran()).toEqual(["publish", "tell"]);
  });

  it("a database that is not there is one line", async () => {
    const { code, err } = await project.call(["threads", "ls", "--db", `${url}_not`]);
    expect(code).toBe(1);
    expect(err).toMatch(/^error: Cannot read postgres.*no such database.*\n$/);
  });
});
