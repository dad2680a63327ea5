/** The commands that README and docs show exist, with the options that they are shown with. */

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Io } from "../../src/cli/io.ts";
import { main } from "../../src/cli/main.ts";

const root = join(import.meta.dirname, "../..");

interface Shown {
  where: string;
  /** The words of the command: `threads ls`. */
  words: string[];
  options: string[];
}

const shown = ["README.md", ...globSync("docs/*.md", { cwd: root })].flatMap((name) =>
  commandsIn(name, readFileSync(join(root, name), "utf8")),
);

function commandsIn(name: string, markdown: string): Shown[] {
  return [...markdown.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block = ""]) =>
    block.split("\n").flatMap((line) => {
      const [, rest] = /(?:^|\s)holdfast\s+(.*)/.exec(line.replace(/\s#.*$/, "")) ?? [];
      if (rest === undefined || line.startsWith("npm ")) return [];
      // What is quoted, and the value of --db in front, is no part of the command.
      const words = rest
        .replace(/^--db \S+/, "")
        .replaceAll(/'[^']*'|"[^"]*"/g, "")
        .trim()
        .split(/\s+/);
      const options = words.filter((word) => word.startsWith("-"));
      const [first = "", second] = words;
      const isGroup =
        /^(threads|runs|schedules|events|approvals|effects|stuck|breakers|limits|budgets)$/.test(
          first,
        );
      return [{ where: name, words: isGroup ? [first, second ?? ""] : [first], options }];
    }),
  );
}

async function helpOf(words: string[]): Promise<string> {
  let text = "";
  const sink = { write: (chunk: string) => (text += chunk) };
  const io: Io = {
    ...{ stdout: sink, stderr: sink, ask: undefined, env: {}, cwd: root },
    ...{ readInput: () => Promise.resolve(""), signal: new AbortController().signal },
    onSecondSignal: () => undefined,
    ...{ now: () => 0, newThreadId: () => "new" },
  };
  await main([...words, "--help"], io);
  return text;
}

describe("the commands in README and docs", () => {
  it("are many", () => {
    expect(shown.length).toBeGreaterThan(25);
  });

  for (const { where, words, options } of shown) {
    it(`exist: holdfast ${[...words, ...options].join(" ")} (${where})`, async () => {
      const help = await helpOf(words);
      const name = words.join(" ").replace("list", "ls");
      // A command with another name prints it as `ls|list`.
      expect(help).toMatch(new RegExp(`^Usage: holdfast ${name}(?:\\|\\w+)? `));
      for (const option of options) expect(help).toContain(option);
    });
  }
});
