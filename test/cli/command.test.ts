/** What every command has in common: help, options, formats, bad input. */

import { afterAll, describe, expect, it } from "vitest";
import { parseDatabaseUrl } from "../../src/cli/database-url.ts";
import { bytes, shortIds, when } from "../../src/cli/format.ts";
import {
  parseDuration,
  parseInstant,
  parseMilliseconds,
  parseMoment,
  parsePairs,
} from "../../src/cli/input.ts";
import { toPlain } from "../../src/cli/plain.ts";
import { tableLines } from "../../src/cli/table.ts";
import { fit, harmless, widthOf } from "../../src/cli/text.ts";
import { TestProject } from "./support/project.ts";

const project = new TestProject();
afterAll(() => project.remove());

const COMMANDS = [
  ["run"],
  ["resume"],
  ...["ls", "history", "state", "diff", "fork", "copy", "rm", "prune", "stats"].map((name) => [
    "threads",
    name,
  ]),
  ...["start", "ls", "get", "wait", "tail", "cancel", "retry", "revive"].map((name) => [
    "runs",
    name,
  ]),
  ["worker"],
  ["status"],
  ["graph"],
  ["import"],
  ["migrate"],
  ["doctor"],
];

describe("every command", () => {
  it.each(COMMANDS)("%s %s has help with an example", async (...words) => {
    const { code, out, err } = await project.call([...words.filter(Boolean), "--help"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(/Examples?:\n +holdfast /);
    expect(out).toContain("--db");
  });

  it.each([
    [["frob"], /unknown command 'frob'/],
    [["run", "plain", "--frob"], /unknown option '--frob'/],
    [["resume"], /missing required argument 'thread'/],
    [["threads", "ls", "-o", "yaml"], /Allowed choices are text, json, jsonl/],
    [["threads", "ls", "--limit", "-1"], /--limit/],
    [["threads", "ls", "--since", "yesterday"], /--since/],
    [["threads", "ls", "--metadata", "nope"], /not key=value/],
    [["run", "plain", "-i", "{bad"], /--input: .*not valid JSON/],
    [["run", "plain", "-i", "[1]"], /expected a JSON object/],
    [["run", "plain", "-i", "null"], /holdfast resume/],
    [["run", "plain", "-i", "-"], /standard input is empty/],
    [["run", "plain", "-t", ""], /cannot be empty/],
    [["run", "plain", "--durability", "exit"], /always runs in "sync"/],
    [["run", "plain", "--recursion-limit", "many"], /--recursion-limit/],
    [["run", "plain", "--configurable", "[]"], /--configurable/],
    [["runs", "start", "plain", "-i", "null"], /null is no input/],
    [["runs", "start", "plain", "--deadline", "soon"], /--deadline/],
    [["runs", "start", "plain", "--priority", "1.5"], /--priority/],
    [["runs", "start", "plain", "--at", "noon"], /--at/],
    [["runs", "start", "plain", "--strategy", "hope"], /reject, enqueue, interrupt, rollback/],
    [["runs", "ls", "--status", "odd"], /Allowed choices are/],
    [["worker", "--concurrency", "0"], /--concurrency/],
    [["worker", "--grace", "0"], /--grace/],
    [["worker", "--graphs", ","], /--graphs/],
    [["resume", "x", "--interrupt", "y"], /--value is missing/],
    [["resume", "x", "--value", "nope"], /--value: .*not valid JSON/],
  ])("%j is a usage error of one line", async (words, message) => {
    const { code, out, err } = await project.call(words);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(message);
    expect(err.trim().split("\n")).toHaveLength(1);
  });

  it("shows the stack with --debug only", async () => {
    const { err } = await project.call(["run", "plain", "-i", "{bad", "--debug"]);
    expect(err).toMatch(/\n +at readJson/);
    expect(err).toContain("caused by SyntaxError");
  });

  it("reads input from a file and from standard input", async () => {
    project.write("in.json", '{"topic": "file"}');
    expect((await project.call(["run", "plain", "-i", "@in.json"])).out).toContain("topic  file");
    const piped = await project.call(["run", "plain", "-i", "-"], { stdin: '{"topic": "pipe"}' });
    expect(piped.out).toContain("topic  pipe");
    expect((await project.call(["run", "plain", "-i", "@nope.json"])).code).toBe(3);
  });

  it("colours for a terminal only, and not against NO_COLOR", async () => {
    const escape = "\u001b[";
    const ls = ["threads", "ls"];
    expect((await project.call(ls, { columns: 80 })).out).toContain(escape);
    expect((await project.call(ls, { columns: 80, env: { NO_COLOR: "1" } })).out).not.toContain(
      escape,
    );
    expect((await project.call(ls)).out).not.toContain(escape);
    expect((await project.call([...ls, "-o", "text"], { columns: 80 })).out).not.toContain(escape);
  });

  it("takes a recursion limit", async () => {
    const { code, err } = await project.call([
      "run",
      "plain",
      "-t",
      "short",
      "--recursion-limit",
      "2",
    ]);
    expect(code).toBe(1);
    expect(err).toContain("Recursion limit of 2 reached");
    expect((await project.call(["resume", "short"])).code).toBe(0);
  });
});

describe("values on the command line", () => {
  it("durations and instants", () => {
    expect(["90s", "15m", "12h", "30d", "2w", "1.5h"].map(parseDuration)).toEqual([
      90_000, 900_000, 43_200_000, 2_592_000_000, 1_209_600_000, 5_400_000,
    ]);
    expect(["", "5", "h", "-1h", "1y"].map(parseDuration)).toEqual(Array(5).fill(undefined));
    expect(parseInstant("1h", "--since", 7_200_000).getTime()).toBe(3_600_000);
    expect(parseInstant("2026-10-01T12:00Z", "--since", 0).toISOString()).toBe(
      "2026-10-01T12:00:00.000Z",
    );
    expect(() => parseInstant("1", "--since", 0)).toThrow(/--since/);
    expect(parseMoment("2h", "--at", 1_000).getTime()).toBe(7_201_000);
    expect(["1500", "90s"].map((text) => parseMilliseconds(text, "--poll"))).toEqual([
      1_500, 90_000,
    ]);
  });

  it("pairs, whose values may be JSON", () => {
    expect(parsePairs(["a=b=c", "n=3", "t=true", "s=", 'o={"x":1}'], "-m")).toEqual({
      a: "b=c",
      n: 3,
      t: true,
      s: "",
      o: { x: 1 },
    });
  });

  it("databases", () => {
    const parse = (text: string): unknown => parseDatabaseUrl(text, "--db", "/work");
    expect(parse("sqlite:./a.db")).toEqual({ kind: "sqlite", path: "/work/a.db" });
    expect(parse("sqlite:///tmp/a.db")).toEqual({ kind: "sqlite", path: "/tmp/a.db" });
    expect(parse("sqlite:/tmp/a.db")).toEqual({ kind: "sqlite", path: "/tmp/a.db" });
    expect(parse("sub/a.sqlite")).toEqual({ kind: "sqlite", path: "/work/sub/a.sqlite" });
    expect(parse("postgres://u@h/d?schema=s&sslmode=require")).toEqual({
      kind: "postgres",
      url: "postgres://u@h/d?sslmode=require",
      schema: "s",
    });
  });
});

describe("text for people", () => {
  it("is harmless, measured and cut", () => {
    expect(harmless("a\u001b[31m\r\n\u0000\u202eb")).toBe("a\\u001b[31m\\u000d\\n\\u0000\\u202eb");
    expect(widthOf("海藻 🪸 e\u0301")).toBe(9);
    expect(fit("abcdef", 4)).toBe("abc…");
    expect(fit("海藻海藻", 5)).toBe("海藻…");
  });

  it("stands in columns that fit", () => {
    const columns = [
      { title: "ID", value: (row: string[]) => row[0] ?? "" },
      { title: "TEXT", value: (row: string[]) => row[1] ?? "", flexible: true },
      { title: "N", value: (row: string[]) => row[2] ?? "", align: "right" as const },
    ];
    const rows = [
      ["1", "海藻", "7"],
      ["22", "a long text that does not fit", "1234"],
    ];
    expect(tableLines(rows, columns, 24, (text) => text)).toEqual([
      "ID  TEXT               N",
      "1   海藻               7",
      "22  a long text t…  1234",
    ]);
  });

  it("numbers, times and ids", () => {
    expect([0, 1023, 1024, 1_500_000, 5 * 1024 ** 4].map(bytes)).toEqual([
      "0 B",
      "1023 B",
      "1.0 kB",
      "1.4 MB",
      "5.0 TB",
    ]);
    expect(when("2026-10-01T12:00:01.234Z")).toBe("2026-10-01 12:00:01");
    const short = shortIds(["1f0a4c2e-3b1a-6f2c-8001-aa", "1f0a4c2e-3b1a-6f2c-8002-aa"]);
    expect(short("1f0a4c2e-3b1a-6f2c-8001-aa")).toBe("1f0a4c2e-3b1a-6f2c-8001");
  });

  it("state of every kind becomes JSON", () => {
    const state = {
      big: 10n ** 20n,
      none: undefined,
      nan: NaN,
      when: new Date(0),
      map: new Map([["a", new Set([1])]]),
      pairs: new Map([[1, 2]]),
      bytes: new Uint8Array([1, 2]),
      floats: new Float32Array([0.5]),
      error: new Error("no", { cause: "why" }),
      ["__proto__"]: { x: 1 },
    };
    expect(JSON.stringify(toPlain(state))).toBe(
      '{"big":"100000000000000000000","nan":"NaN","when":"1970-01-01T00:00:00.000Z","map":{"a":[1]},"pairs":[[1,2]],' +
        '"bytes":{"base64":"AQI="},"floats":[0.5],"error":{"name":"Error","message":"no","cause":"why"},"__proto__":{"x":1}}',
    );
  });
});
