import { DatabaseSync } from "node:sqlite";
import { SqliteSaver as OfficialSaver } from "@langchain/langgraph-checkpoint-sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadGraph } from "../../src/cli/graph.ts";
import { withSaver } from "../../src/run/graph.ts";
import { TestProject } from "./support/project.ts";

const project = new TestProject();
afterAll(() => project.remove());

beforeAll(async () => {
  const official = OfficialSaver.fromConnString(project.path("old.db"));
  const source = { name: "gated", file: project.path("agents.ts"), exported: "gated" };
  const graph = withSaver(await loadGraph(source, {}), official as never);
  for (const threadId of ["old-1", "old-2"]) {
    const options = { configurable: { thread_id: threadId } };
    for await (const _ of await graph.stream({ topic: threadId }, options));
  }
  official.db.close();
});

describe("holdfast import", () => {
  it("brings threads over from an official saver, once, and they go on", async () => {
    const brought = await project.json(["import", "--from", "sqlite:old.db"]);
    expect(brought).toMatchObject({ threads: 2, checkpoints: 8, skipped: 0, failed: [] });
    expect(await project.json(["import", "--from", "old.db"])).toMatchObject({
      threads: 0,
      skipped: 8,
    });
    project.ran();
    expect((await project.call(["resume", "old-1", "gated"])).code).toBe(5);
    const unknown = await project.call(["resume", "old-1"]);
    expect(unknown.code).toBe(2);
    expect(unknown.err).toContain('Thread "old-1" does not say which graph it belongs to');
    const done = await project.call(["resume", "old-1", "gated", "--approve"]);
    expect(done.out).toContain("topic  old-1");
    expect(project.ran()).toEqual(["publish", "tell"]);
  });

  it("takes only the threads that are named, to the database that is named", async () => {
    const words = ["import", "--from", "sqlite:old.db", "--to", "sqlite:new.db"];
    expect(await project.json([...words, "--thread", "old-2"])).toMatchObject({ threads: 1 });
    expect(await project.json(["threads", "ls", "--db", "new.db"])).toMatchObject([
      { threadId: "old-2" },
    ]);
    const missing = await project.call([...words, "--thread", "nobody"]);
    expect(missing.code).toBe(3);
    expect(missing.err).toContain('error: Thread nobody: The source has no thread "nobody"');
  });

  it("reads a database of holdfast as well", async () => {
    const words = ["import", "--from", "sqlite:new.db", "--to", "sqlite:newer.db"];
    expect(await project.json(words)).toMatchObject({ threads: 1, checkpoints: 4 });
  });

  it.each([
    [["import"], 2, /required option '--from/],
    [["import", "--from", "sqlite:nope.db"], 3, /no database .*nope\.db/],
    [["import", "--from", "nope"], 2, /no database that holdfast knows/],
    [["import", "--from", "junk.db"], 1, /junk\.db: .*not a database/],
    [["import", "--from", "empty.db"], 3, /holds no tables/],
    [["import", "--from", "new.db", "--to", "./new.db"], 3, /the same database/],
    [["import", "--from", "new.db", "--to", "a.db", "--db", "b.db"], 2, /one of the two/],
  ])("%j ends with %i", async (words, code, message) => {
    project.write("junk.db", "not a database, but long enough to look like one ".repeat(40));
    project.write("empty.db", "");
    const said = await project.call(words);
    expect(said).toMatchObject({ code, out: "" });
    expect(said.err).toMatch(message);
  });
});

describe("holdfast migrate", () => {
  it("makes the tables, and says the version", async () => {
    const version = (await project.json<{ version: number }>(["migrate", "--db", "fresh.db"]))
      .version;
    expect(version).toBeGreaterThan(0);
    const again = await project.call(["migrate", "--db", "fresh.db"]);
    expect(again.out).toContain(`schema version ${version}, up to date`);
  });

  it("refuses tables of a newer holdfast, as every command does", async () => {
    const db = new DatabaseSync(project.path("fresh.db"));
    db.exec(
      "INSERT INTO holdfast_migrations (version, name, applied_at) VALUES (9999, 'future', '')",
    );
    db.close();
    for (const words of [["migrate"], ["threads", "ls"], ["run", "plain"]]) {
      const { code, err } = await project.call([...words, "--db", "fresh.db"]);
      expect(code).toBe(1);
      expect(err).toMatch(/^error: .*schema version 9999.*Upgrade holdfast.*\n$/);
    }
    const { code, out } = await project.call(["doctor", "--db", "fresh.db"]);
    expect(code).toBe(1);
    expect(out).toMatch(/fail +schema +version 9999/);
  });
});

describe("a database that cannot be read", () => {
  it("is one line, whatever the command", async () => {
    for (const words of [
      ["threads", "ls"],
      ["threads", "state", "x"],
      ["run", "plain"],
      ["migrate"],
    ]) {
      const { code, err } = await project.call([...words, "--db", "sqlite:junk.db"]);
      expect(code, `${words.join(" ")}: ${err}`).toBe(1);
      expect(err).toMatch(/^error: .*junk\.db: .*not a database.*\n$/);
    }
    const folder = await project.call(["run", "plain", "--db", "sqlite:no/such/folder/a.db"]);
    expect(folder.code).toBe(1);
    expect(folder.err).toMatch(/^error: Cannot open .*a\.db.*\n$/);
    for (const url of ["mysql://x", "sqlite::memory:", "sqlite:", "postgres://[", "agents"]) {
      expect(await project.call(["run", "plain", "--db", url]), url).toMatchObject({
        code: 2,
        out: "",
      });
    }
  });

  it("does not tell its password", async () => {
    const { code, err } = await project.call([
      "threads",
      "ls",
      "--db",
      "postgres://me:secret@127.0.0.1:9/x",
    ]);
    expect(code).toBe(1);
    expect(err).not.toContain("secret");
    expect(err).toContain("postgres://me:***@127.0.0.1:9/x");
  });
});

describe("holdfast doctor", () => {
  it("finds a healthy project healthy, and changes nothing", async () => {
    const fresh = new TestProject();
    const before = await fresh.call(["doctor"]);
    expect(before.code).toBe(0);
    expect(before.out).toMatch(/warn +database .*does not exist yet/);
    expect((await fresh.call(["threads", "state", "x"])).err).toContain("no database");
    await fresh.call(["run", "plain"]);
    const checks = await fresh.json<{ status: string; what: string; detail: string }[]>(["doctor"]);
    expect(checks.filter(({ status }) => status !== "ok")).toEqual([]);
    expect(checks.map(({ what }) => what)).toEqual(
      expect.arrayContaining([
        "node",
        "holdfast",
        "@langchain/langgraph",
        "database",
        "schema",
        "graph gated",
      ]),
    );
    fresh.remove();
  });

  it("points to official tables, and fails for a graph that does not load", async () => {
    const { code, out } = await project.call(["doctor", "--db", "old.db"]);
    expect(code).toBe(0);
    expect(out).toMatch(/warn +official tables .*holdfast import/);
    project.write("odd.json", '{"graphs": {"odd": "./agents.ts:notAGraph"}}');
    const odd = await project.call(["doctor", "-c", "odd.json"]);
    expect(odd.code).toBe(1);
    expect(odd.out).toMatch(/fail +graph odd +.*not a graph/);
  });
});
