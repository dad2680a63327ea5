/** A project in a temporary folder, and the command line called on it. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Io } from "../../../src/cli/io.ts";
import { main } from "../../../src/cli/main.ts";

const root = join(import.meta.dirname, "../../..");
export const BIN = join(root, "src/cli/bin.ts");

export interface Said {
  code: number | null;
  out: string;
  err: string;
}

export interface CallOptions {
  cwd?: string;
  stdin?: string;
  env?: Record<string, string>;
  /** Width of the terminal that stdout then is. */
  columns?: number;
  /** Ctrl-C. */
  signal?: AbortSignal;
  /** Sees what is written to stdout when it is. */
  onOut?: (said: string) => void;
  /** What a person types when asked; nobody is there otherwise. */
  typed?: string;
}

export class TestProject {
  readonly folder: string;

  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "holdfast-cli-"));
    cpSync(join(import.meta.dirname, "../fixture"), this.folder, { recursive: true });
    symlinkSync(join(root, "node_modules"), join(this.folder, "node_modules"));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, content: string): void {
    writeFileSync(this.path(name), content);
  }

  /** Makes a step of the fixture's graphs kill the process, or fail; nothing ends that. */
  trouble(trouble: { kill?: string; fail?: string } = {}): void {
    this.write("trouble.json", JSON.stringify(trouble));
  }

  /** The steps that ran since the last call. */
  ran(): string[] {
    if (!existsSync(this.path("ran.log"))) return [];
    const lines = readFileSync(this.path("ran.log"), "utf8").trim().split("\n");
    rmSync(this.path("ran.log"));
    return lines;
  }

  /** In this process: fast. */
  async call(argv: readonly string[], options: CallOptions = {}): Promise<Said> {
    const said = { out: "", err: "" };
    const { columns, typed } = options;
    const io: Io = {
      stdout: {
        write: (chunk) => {
          said.out += chunk;
          options.onOut?.(said.out);
        },
        ...(columns === undefined ? {} : { isTTY: true, columns }),
      },
      stderr: { write: (chunk) => (said.err += chunk) },
      readInput: () => Promise.resolve(options.stdin ?? ""),
      ask:
        typed === undefined
          ? undefined
          : async (question) => {
              said.err += question;
              return Promise.resolve(typed);
            },
      env: options.env ?? {},
      cwd: options.cwd ?? this.folder,
      signal: options.signal ?? new AbortController().signal,
      onSecondSignal: () => undefined,
      now: () => Date.now(),
      newThreadId: () => "new-thread",
    };
    const code = await main(argv, io);
    return { code, ...said };
  }

  /** Its data, which must be one JSON document. */
  async json<T = Record<string, unknown>>(argv: readonly string[]): Promise<T> {
    const { out, err } = await this.call([...argv, "-o", "json"]);
    if (out === "") throw new Error(`holdfast ${argv.join(" ")} printed no data: ${err}`);
    return JSON.parse(out) as T;
  }

  /** As a process of its own: the real thing. */
  async spawn(argv: readonly string[], options: CallOptions = {}): Promise<Said> {
    const child = this.start(argv, options);
    child.stdin?.end(options.stdin ?? "");
    return finished(child);
  }

  start(argv: readonly string[], options: CallOptions = {}): ChildProcess {
    return spawn(process.execPath, ["--conditions=holdfast-source", BIN, ...argv], {
      cwd: options.cwd ?? this.folder,
      env: { PATH: process.env["PATH"], ...options.env },
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function finished(child: ChildProcess): Promise<Said> {
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const [out, err] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
  ]);
  return { code: await ended, out, err };
}
