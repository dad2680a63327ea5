/** `holdfast schedules`: declared, looked at, paused, removed, and fired by a worker. */

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSaver } from "../support/open-saver.ts";
import { createDatabase } from "../support/databases.ts";
import { TestProject } from "./support/project.ts";

const DATABASES: [name: string, newUrl: () => Promise<string>][] = [
  ["SQLite", () => Promise.resolve("sqlite:agents.db")],
  ["Postgres", () => createDatabase()],
];

describe.each(DATABASES)("schedules on %s", (_, newUrl) => {
  let project: TestProject;
  let db: string[];
  beforeEach(async () => {
    project = new TestProject();
    db = ["--db", await newUrl()];
  });
  afterEach(() => project.remove());

  const call = (...words: string[]) => project.call(["schedules", ...words, ...db]);
  const json = <T = Record<string, unknown>>(...words: string[]) =>
    project.json<T>(["schedules", ...words, ...db]);
  const add = (name: string, ...words: string[]) =>
    call("add", name, "--graph", "plain", "--cron", "0 9 * * 1-5", ...words);

  it("are declared, listed, shown, paused, resumed and removed", async () => {
    const words = ["--zone", "Europe/Berlin", "-i", '{"topic":"kelp"}', "-t", "t-1"];
    const added = await add("digest", ...words, "--deadline", "10m", "--priority", "2");
    expect(added).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^digest {2}fires at \d{4}-\d\d-\d\d 0[78]:00:00\n$/) as string,
      err: 'A worker that has graph "plain" fires it.\n',
    });
    await add("@other", "--missed", "all");
    expect((await call("ls")).out).toMatch(
      /^SCHEDULE +CRON +ZONE +GRAPH +NEXT +LAST +NOTE\n@other +0 9 \* \* 1-5 +UTC +plain +\d.*\ndigest +0 9 \* \* 1-5 +Europe\/Berlin +plain +\d/,
    );
    expect(await json<unknown[]>("ls")).toMatchObject([
      { name: "@other", missed: "all", paused: false },
      { name: "digest", missed: "once", zone: "Europe/Berlin" },
    ]);
    const shown = await json<{ upcoming: number[] }>("get", "digest");
    expect(shown).toMatchObject({
      ...{ name: "digest", input: { topic: "kelp" }, threadId: "t-1", deadline: 600_000 },
    });
    expect(shown.upcoming).toHaveLength(5);
    expect((await call("get", "digest")).out).toMatch(
      /^digest {2}fires at .*\ncron +0 9 \* \* 1-5 {2}\(Europe\/Berlin\)\n[^]*next +20[^]*\ninput {2}\{"topic":"kelp"\}\n$/,
    );
    expect(await call("pause", "digest")).toMatchObject({ code: 0, out: "digest  paused\n" });
    expect((await add("digest", ...words)).err).toMatch(
      /It is paused.*holdfast schedules resume digest/,
    );
    expect((await call("ls")).out).toMatch(/digest .* paused\n/);
    expect((await call("resume", "digest")).out).toMatch(/^digest {2}fires at/);
    expect(await json("rm", "digest")).toEqual({ name: "digest", removed: true });
    for (const verb of ["rm", "get", "pause", "resume"]) {
      expect(await call(verb, "digest")).toEqual({
        ...{ code: 3, out: "", err: 'error: There is no schedule "digest".\n' },
      });
    }
    expect((await call("rm", "@other")).out).toBe("@other  removed\n");
    expect(await call("ls")).toMatchObject({ code: 0, err: "No schedules.\n" });
  });

  it.each([
    [["--cron", "61 * * * *"], /cannot be read: Invalid value for minute: 61/],
    [["--zone", "Mars"], /There is no time zone "Mars"/],
    [["-i", "null"], /input that is data/],
    [["-i", "7"], /expected a JSON object/],
    [["--priority", "x"], /--priority/],
    [["-t", ""], /threadId/],
  ])("are refused in a sentence where they make no sense: %j", async (words, message) => {
    const said = await add("s", ...words);
    expect(said).toMatchObject({ code: 2, out: "" });
    expect(said.err).toMatch(message);
    expect(said.err.trim().split("\n")).toHaveLength(1);
  });

  it("are fired by a worker, which says so", async () => {
    await add("digest", "-i", '{"topic":"kelp"}', "--missed", "all", "-t", "t-1");
    const [, url = ""] = db;
    const saver = openSaver(url.replace("sqlite:", `sqlite:${project.folder}/`));
    const { schedules } = saver.steps;
    const record = await schedules.read("digest");
    if (record === undefined) throw new Error("it is not there");
    // As if its time had come.
    const at = Math.floor(Date.now() / 1_000) * 1_000;
    await schedules.put({ ...record, revision: "now", nextAt: at }, record.revision);
    await saver.end();
    const stop = new AbortController();
    const worker = project.call(["worker", "--poll", "20", ...db], { signal: stop.signal });
    const runId = `cron:digest:${new Date(at).toISOString().replace(".000Z", "Z")}`;
    const runs = async (): Promise<unknown> => project.json(["runs", "ls", ...db]);
    await expect
      .poll(runs, { timeout: 20_000 })
      .toMatchObject([{ runId, schedule: "digest", threadId: "t-1", status: "completed" }]);
    stop.abort();
    expect((await worker).err).toContain(`◷ fires  run ${runId}  schedule digest\n`);
    expect(await json("get", "digest")).toMatchObject({ lastAt: at, lastRun: runId });
    expect((await project.call(["runs", "get", runId, ...db])).out).toContain(
      "schedule   digest\n",
    );
    await project.call(["runs", "start", "plain", "--run-id", "by-hand", ...db]);
    const of = (name: string): Promise<unknown> =>
      project.json(["runs", "ls", "--schedule", name, ...db]);
    expect(await of("digest")).toMatchObject([{ runId, schedule: "digest" }]);
    expect(await of("other")).toEqual([]);
  });
});
