/**
 * Kills a program at every durable operation in turn, and looks whether its work survives.
 *
 * The program is a script that does its work when it is started, goes on with it when it is started
 * again, and exits with 0 when it is done. It runs once undisturbed, and its durable operations are
 * counted: commits and lone writes to SQLite (`node:sqlite`) and Postgres (`pg`), and HTTP requests.
 * Then, for each operation, all is set up anew and the program is killed there with SIGKILL,
 * once before the operation is sent and once when it has taken effect, before the program
 * learns of it; it is started again until it is done, and the check says whether all is well.
 * The program itself holds no switches for this, and runs as it would in production.
 *
 * ```ts
 * const result = await crashMatrix({
 *   script: new URL("./returns-program.js", import.meta.url),
 *   setUp: async () => {
 *     const world = await fakeWorld();
 *     return { world, args: [newDatabaseFile()], env: { WORLD_URL: world.url } };
 *   },
 *   check: ({ setup: { world }, runs, undisturbed }) => {
 *     expect(world.performed("refund")).toHaveLength(1);
 *     expect(runs.at(-1)?.stdout).toBe(undisturbed?.stdout);
 *   },
 * });
 * expect(result.failures, result.summary).toEqual([]);
 * ```
 *
 * Invariants
 *   X1  Points come from counting, so an operation that is added to the program is killed at, too.
 *   X2  Each point has a setup of its own; nothing that one point did is seen by another.
 *   X3  A point at which nothing was killed is told as missed, never as survived.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { InvalidInputError } from "../errors.ts";
import { pathOf, runChild, type CrashRun } from "./crash/child.ts";
import type { Note, Orders, Side } from "./crash/orders.ts";
import { random, sample } from "./crash/random.ts";

export type { CrashRun } from "./crash/child.ts";

/** Where a process is killed. */
export interface CrashPoint {
  /** The operation's number in the undisturbed run, from 1. */
  operation: number;
  side: Side;
  /** What it was there: `COMMIT`, `POST http://127.0.0.1:8080/refund`. */
  what: string;
  /** Where in the program it was sent. */
  stack: string;
}

/** What a point is run on: a database, a service. `args` and `env` go to the program. */
export interface CrashSetup {
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Called when the point is over. */
  end?: () => unknown;
}

export interface CrashCheck<Setup> {
  setup: Setup;
  /** All processes of this point, in order; the last one was done. */
  runs: readonly CrashRun[];
  /** Undefined for the undisturbed run, which is checked first. */
  point: CrashPoint | undefined;
  /** The undisturbed run; undefined while it is itself checked. */
  undisturbed: CrashRun | undefined;
}

export interface CrashMatrixOptions<Setup extends CrashSetup> {
  /** The program. */
  script: string | URL;
  /** Options for Node, such as `["--import", "tsx"]`; default none. */
  execArgv?: readonly string[];
  /** Default: this process's. */
  cwd?: string;
  /** For each point anew: an empty database, and so on. */
  setUp: () => Setup | Promise<Setup>;
  /** Throws where an invariant does not hold. */
  check: (done: CrashCheck<Setup>) => unknown;
  /** Which points; default all. A sample holds the same points for the same seed (default 1). */
  points?: "all" | { sample: number; seed?: number } | ((point: CrashPoint) => boolean);
  /**
   * How many processes of each point are killed: default 1. With more, the second and later ones die
   * at an operation drawn by the seed, so that what recovers is killed in its turn.
   */
  kills?: number;
  /** How many points at a time; default: as many as the machine has processors. */
  parallel?: number;
  /** Milliseconds for each process; default 60_000. */
  timeout?: number;
  /** How often the program may be started again after its kills; default 5. */
  maxResumes?: number;
}

export interface CrashFailure {
  point: CrashPoint;
  /** What the check threw, or why it was never called. */
  error: unknown;
  runs: readonly CrashRun[];
}

export interface CrashMatrixResult {
  /** Durable operations of the undisturbed run. */
  operations: readonly string[];
  /** Points tried: with all of them, twice the operations. */
  points: number;
  /** Processes killed at their point. */
  kills: number;
  /** Points whose process was done before it came so far. */
  missed: readonly CrashPoint[];
  failures: readonly CrashFailure[];
  /** The counts in a line, then each failure with its point, for people. */
  summary: string;
}

/**
 * @throws {InvalidInputError} the program has no durable operations
 * @throws what the undisturbed run fails with, or what `check` throws about it: not the crashes' fault
 */
export async function crashMatrix<Setup extends CrashSetup>(
  options: CrashMatrixOptions<Setup>,
): Promise<CrashMatrixResult> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-crash-"));
  try {
    return await new Matrix(options, folder).run();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

class Matrix<Setup extends CrashSetup> {
  readonly #options: CrashMatrixOptions<Setup>;
  readonly #folder: string;
  readonly #seed: number;
  readonly #missed: CrashPoint[] = [];
  readonly #failures: CrashFailure[] = [];
  #processes = 0;
  #kills = 0;

  constructor(options: CrashMatrixOptions<Setup>, folder: string) {
    this.#options = options;
    this.#folder = folder;
    const { points } = options;
    this.#seed = typeof points === "object" ? (points.seed ?? 1) : 1;
  }

  async run(): Promise<CrashMatrixResult> {
    const undisturbed = await this.#undisturbed();
    const points = this.#choose(undisturbed.operations);
    const left = points.values();
    const work = async (): Promise<void> => {
      for (const point of left) await this.#try(point, undisturbed);
    };
    const { parallel = availableParallelism() } = this.#options;
    await Promise.all(Array.from({ length: Math.max(1, parallel) }, work));

    const result = {
      operations: undisturbed.operations.map(({ what }) => what),
      points: points.length,
      kills: this.#kills,
      missed: this.#missed,
      failures: this.#failures.toSorted((a, b) => a.point.operation - b.point.operation),
    };
    return { ...result, summary: this.#summary(result) };
  }

  async #undisturbed(): Promise<CrashRun> {
    const setup = await this.#options.setUp();
    try {
      const runs: CrashRun[] = [];
      await this.#finish(setup, runs);
      await this.#options.check({ setup, runs, point: undefined, undisturbed: undefined });
      // The first process is the one that is killed; the last one tells the result.
      const { operations } = runs[0] as CrashRun;
      if (operations.length === 0) {
        throw new InvalidInputError(
          "The program writes to no database and sends no request: there is nothing to kill it at.",
        );
      }
      return { ...(runs.at(-1) as CrashRun), operations };
    } finally {
      await setup.end?.();
    }
  }

  #choose(operations: readonly Note[]): CrashPoint[] {
    const { points = "all" } = this.#options;
    const all = operations.flatMap(({ operation, what, stack = "" }) =>
      (["before", "after"] as const).map((side) => ({ operation, side, what, stack })),
    );
    if (typeof points === "function") return all.filter(points);
    return points === "all" ? all : sample(all, points.sample, this.#seed);
  }

  async #try(planned: CrashPoint, undisturbed: CrashRun): Promise<void> {
    const { setUp, check, kills = 1 } = this.#options;
    const { operation, side } = planned;
    const draw = random(this.#seed * 7_919 + operation * 2 + Number(side === "after"));
    const setup = await setUp();
    const runs: CrashRun[] = [];
    let point = planned;
    try {
      let kill: Kill = { operation, side };
      do {
        runs.push(await this.#start(setup, kill));
        // What was really met there: the program may do things in another order each time.
        if (runs.length === 1) point = { ...planned, ...diedAt(runs[0]) };
        // Who resumes has about as much left to do as was left at the kill.
        kill = {
          operation: 1 + draw(Math.max(undisturbed.operations.length - operation, 0) + 4),
          side: draw(2) === 0 ? "before" : "after",
        };
      } while (runs.length < kills && runs.at(-1)?.outcome === "killed");
      if (runs[0]?.outcome === "done") this.#missed.push(planned);
      if (runs.at(-1)?.outcome !== "done") await this.#finish(setup, runs);
      await check({ setup, runs, point, undisturbed });
    } catch (error) {
      this.#failures.push({ point, error, runs });
    } finally {
      await setup.end?.();
    }
  }

  /** Starts the program until it is done. */
  async #finish(setup: Setup, runs: CrashRun[]): Promise<void> {
    const { maxResumes = 5 } = this.#options;
    for (let started = 0; started <= maxResumes; started += 1) {
      const before = runs.at(-1);
      if (before !== undefined) failUnlessResumable(before);
      const run = await this.#start(setup);
      runs.push(run);
      if (run.outcome === "done") return;
    }
    failUnlessResumable(runs.at(-1) as CrashRun);
    throw new Error(`The program was not done after ${maxResumes} resumes.`);
  }

  async #start(setup: Setup, kill?: Kill): Promise<CrashRun> {
    const { script, execArgv = [], cwd = process.cwd(), timeout = 60_000 } = this.#options;
    this.#processes += 1;
    const run = await runChild(
      {
        script: pathOf(script),
        args: setup.args ?? [],
        env: { NODE_COMPILE_CACHE: join(this.#folder, "compiled"), ...setup.env },
        execArgv,
        cwd,
        timeout,
      },
      { log: join(this.#folder, `${this.#processes}.log`), ...(kill && { kill }) },
    );
    if (run.outcome === "killed") this.#kills += 1;
    return run;
  }

  #summary({ operations, points, kills, missed, failures }: Omit<CrashMatrixResult, "summary">) {
    const counts =
      `crash matrix of ${basename(pathOf(this.#options.script))}: ` +
      `${operations.length} durable operations, ${points} points, ${kills} kills, ` +
      `${this.#processes} processes, ${missed.length} points missed, ` +
      `${failures.length} failures (seed ${this.#seed})`;
    return [counts, ...failures.map(describeFailure)].join("\n\n");
  }
}

type Kill = NonNullable<Orders["kill"]>;

/** The operation at which it died; others may have begun after it. */
function diedAt(run: CrashRun | undefined): Partial<CrashPoint> {
  const last = run?.operations.find(({ killed }) => killed !== undefined);
  return last === undefined ? {} : { what: last.what, stack: last.stack ?? "" };
}

/** @throws the program ended as it must not */
function failUnlessResumable({ outcome, exitCode, stderr }: CrashRun): void {
  if (outcome === "killed" || outcome === "again" || outcome === "done") return;
  const how =
    outcome === "timed-out" ? "took too long, and was killed for that" : `ended with ${exitCode}`;
  throw new Error(`The program ${how}:\n${stderr.trim()}`);
}

function describeFailure({ point, error, runs }: CrashFailure): string {
  const message = error instanceof Error ? error.message : String(error);
  return [
    `Killed ${point.side} operation ${point.operation}: ${point.what}`,
    ...linesOfProgram(point.stack),
    `  (then: ${runs.map(({ outcome }) => outcome).join(", ")})`,
    message.replaceAll(/^/gm, "  "),
  ].join("\n");
}

const SHOWN_LINES = 10;

/** Its calls, without those of its packages. */
function linesOfProgram(stack: string): string[] {
  const lines = stack.split("\n").filter((line) => !/node_modules|<anonymous>/.test(line));
  return [...new Set(lines)].slice(0, SHOWN_LINES);
}
