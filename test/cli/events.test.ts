/** `holdfast emit` and `holdfast events`. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDatabase } from "../support/databases.ts";
import { TestProject } from "./support/project.ts";

const DATABASES: [name: string, newUrl: () => Promise<string>][] = [
  ["SQLite", () => Promise.resolve("sqlite:agents.db")],
  ["Postgres", () => createDatabase()],
];

describe.each(DATABASES)("events on %s", (_, newUrl) => {
  let project: TestProject;
  let db: string[];
  beforeEach(async () => {
    project = new TestProject();
    db = ["--db", await newUrl()];
    await project.call(["migrate", ...db]);
  });
  afterEach(() => project.remove());

  const call = (...words: string[]) => project.call([...words, ...db]);

  it("are emitted once for each id, and listed", async () => {
    expect(await call("events", "ls")).toMatchObject({ code: 0, out: "", err: "No events.\n" });
    const pay = ["emit", "payment", "--payload", '{"orderId":"o1"}', "--id", "p1"];
    expect(await call(...pay)).toMatchObject({ code: 0, out: "p1  emitted\n" });
    expect((await call(...pay)).out).toContain("known: an event with this id was emitted before");
    expect(await project.json([...pay, ...db])).toEqual({ id: "p1", isNew: false });
    await call("emit", "other");
    const listed = await project.json<object[]>(["events", "ls", ...db]);
    expect(listed).toMatchObject([
      { name: "other" },
      { id: "p1", name: "payment", payload: { orderId: "o1" } },
    ]);
    expect((await call("events", "ls", "--name", "payment", "--since", "1h")).out).toMatch(
      /^AT +NAME +ID +THREAD +PAYLOAD\n\d.* payment +p1 .*\{"orderId":"o1"\}\n$/,
    );
    expect((await call("events", "ls", "--name", "none")).err).toBe("No events.\n");
  });

  it("are refused where they make no sense", async () => {
    expect(await call("emit", "run.failed")).toMatchObject({
      err: expect.stringContaining("holdfast's own") as string,
    });
    expect((await call("emit", "e", "--payload", "{")).err).toContain("not valid JSON");
    expect((await call("emit", "e", "--id", "x".repeat(201))).err).toContain("1 to 200 characters");
    expect((await call("events", "ls", "--limit", "0")).err).toContain("1 or more");
    for (const words of [["emit"], ["events", "ls"]]) {
      expect((await project.call([...words, "--help"])).out).toContain("Examples:");
    }
  });
});
