/**
 * Chaos: workers in processes of their own do runs, and are killed, stopped and continued, and sent away
 * at random, while the database restarts. Afterwards everything must be as if nothing had happened.
 *
 * The seed draws what happens and to whom; when it does is up to the machine.
 */

import { setTimeout as pause } from "node:timers/promises";
import { createRuntime, type Runtime } from "holdfast";
import { fakeWorld, type FakeWorld } from "holdfast/testing";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { startChild, type Child } from "../support/child.ts";
import { newEngine, type EngineName } from "../support/engines.ts";
import { openSaver } from "../support/open-saver.ts";
import { EXPECTED, KINDS, chaosGraph, type Kind } from "./graph.ts";

export interface ChaosPlan {
  place: string;
  /** Of all processes. Default "local". */
  engine?: EngineName;
  seed: number;
  runs: number;
  workers?: number;
  /** How often each of these happens. */
  kills: number;
  stops: number;
  drains: number;
  restarts?: { times: number; restart: () => Promise<void> };
  /** False for workers whose writes carry no token: the chaos must find that out. */
  fenced?: boolean;
}

export interface ChaosReport {
  runs: number;
  kills: number;
  stops: number;
  drains: number;
  restarts: number;
  /** Attempts that went on with what another worker had begun. */
  takeovers: number;
  /** Attempts that were overtaken, and refused. */
  fenced: number;
  /** What is not as it should be, in words. */
  faults: string[];
}

/** Longer than the workers' leases. */
const STANDSTILL = 1_500;
/** Between one misfortune and the next. */
const PAUSE = 250;
/** For the runs that are left when nothing befalls anybody any more. */
const TIMEOUT = 300_000;

type Action = "kill" | "stop" | "drain" | "restart";

export async function chaos(plan: ChaosPlan): Promise<ChaosReport> {
  const world = await fakeWorld();
  const saver = openSaver(plan.place);
  const graphs = { errand: chaosGraph() };
  const engine = newEngine(plan.engine ?? "local");
  const runtime = createRuntime({ saver, graphs, engine, worker: false });
  const crew = new Crew(plan, world.url);
  const random = randomFrom(plan.seed);
  try {
    await saver.setup();
    await crew.fill();
    const over = new AbortController();
    const accepting = accept(runtime, plan.runs, crew);
    const answering = answer(runtime, over.signal);
    await misfortunes(plan, crew, random);
    await accepting;
    const unfinished = await finished(runtime, plan.runs, AbortSignal.timeout(TIMEOUT));
    over.abort();
    await answering;
    const faults = [
      ...(await crew.deserters()),
      ...unfinished,
      ...(await check(runtime, saver, plan.runs, world)),
    ];
    const all = await runtime.runs({ limit: plan.runs });
    return {
      ...{ runs: all.length, faults, ...crew.counts },
      takeovers: all.reduce((sum, { attempt }) => sum + attempt - 1, 0),
      fenced: crew.told("run.abandoned"),
    };
  } finally {
    await crew.end();
    await runtime.close();
    await saver.end();
    await world.close();
  }
}

const idOf = (i: number): string => `errand-${i}`;
const kindOf = (i: number): Kind => KINDS[i % KINDS.length] as Kind;

/** As fast as they can be worked off, roughly; one that was not heard to be accepted is started again. */
async function accept(runtime: Runtime, runs: number, crew: Crew): Promise<void> {
  for (let i = 0; i < runs; i += 1) {
    const id = idOf(i);
    await persist(() =>
      runtime.start("errand", { id, kind: kindOf(i) }, { runId: id, threadId: id }),
    );
    if (i % 10 === 9) await pause(crew.pace);
  }
}

/** The person who is asked says yes, to each question by its id. */
async function answer(runtime: Runtime, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    await persist(async () => {
      for (const { id } of await runtime.inbox.list({ limit: 1_000 })) {
        await runtime.approve(id, { by: "ada" });
      }
    });
    await pause(PAUSE);
  }
}

async function misfortunes(plan: ChaosPlan, crew: Crew, random: () => number): Promise<void> {
  const actions: Action[] = [
    ...Array.from({ length: plan.kills }, (): Action => "kill"),
    ...Array.from({ length: plan.stops }, (): Action => "stop"),
    ...Array.from({ length: plan.drains }, (): Action => "drain"),
    ...Array.from({ length: plan.restarts?.times ?? 0 }, (): Action => "restart"),
  ];
  while (actions.length > 0) {
    const [action] = actions.splice(Math.floor(random() * actions.length), 1);
    await crew.suffer(action as Action, random);
    await pause(PAUSE * random());
  }
}

/** Settles when all runs are over; says which are not in time. */
async function finished(runtime: Runtime, runs: number, late: AbortSignal): Promise<string[]> {
  for (;;) {
    const all = await persist(() => runtime.runs({ limit: runs }));
    const open = all.filter(({ status }) => !["completed", "failed"].includes(status));
    if (open.length === 0 && all.length === runs) return [];
    if (late.aborted) {
      return open.map(({ runId, status, reason }) => `${runId} is ${status} (${reason})`);
    }
    await pause(PAUSE);
  }
}

async function check(
  runtime: Runtime,
  saver: HoldfastSaver,
  runs: number,
  world: FakeWorld,
): Promise<string[]> {
  const faults: string[] = [];
  for (let i = 0; i < runs; i += 1) {
    const id = idOf(i);
    const kind = kindOf(i);
    const expected = EXPECTED[kind];
    const fault = (what: string): void => void faults.push(`${id} (${kind}): ${what}`);
    const { status, reason } = await runtime.run(id);
    if (status !== expected.status) fault(`is ${status} (${reason ?? ""})`);
    const { log } = (await runtime.state(id)) as { log: string[] };
    if (log.join() !== expected.log.join()) fault(`has the state ${log.join()}`);
    const done = (what: "label" | "charge"): number => world.performed(what, { order: id }).length;
    if (done("label") !== 1) fault(`has ${done("label")} labels`);
    if (done("charge") !== (expected.log.includes("charge") ? 1 : 0)) {
      fault(`has ${done("charge")} charges`);
    }
    const stands = world.standing("label", { order: id }).length;
    if (stands !== (kind === "fail" ? 0 : 1)) fault(`has ${stands} labels left`);
    for (const branch of await branchesOf(saver, id)) fault(`has a second writer at ${branch}`);
  }
  return faults;
}

/** Checkpoints with more than one child: two writers went on from them. */
async function branchesOf(saver: HoldfastSaver, threadId: string): Promise<string[]> {
  const children = new Map<string, number>();
  for await (const { parentConfig } of saver.list({
    configurable: { thread_id: threadId, checkpoint_ns: "" },
  })) {
    const parent = parentConfig?.configurable?.["checkpoint_id"] as string | undefined;
    if (parent !== undefined) children.set(parent, (children.get(parent) ?? 0) + 1);
  }
  return [...children].filter(([, count]) => count > 1).map(([id]) => id);
}

/** The workers, and what befalls them. */
class Crew {
  readonly counts = { kills: 0, stops: 0, drains: 0, restarts: 0 };
  readonly #plan: ChaosPlan;
  readonly #world: string;
  readonly #children: Child[] = [];
  readonly #gone: Child[] = [];
  readonly #continuing: Promise<void>[] = [];

  constructor(plan: ChaosPlan, world: string) {
    this.#plan = plan;
    this.#world = world;
  }

  /** Between ten runs and the next ten, so that work lasts as long as the misfortunes do. */
  get pace(): number {
    const { kills, stops, drains, runs } = this.#plan;
    return ((kills + stops + drains) * PAUSE * 10) / runs;
  }

  told(type: string): number {
    return [...this.#children, ...this.#gone]
      .flatMap(({ messages }) => messages)
      .filter((message) => message.type === type).length;
  }

  async fill(): Promise<void> {
    while (this.#children.length < (this.#plan.workers ?? 3)) {
      const { place, engine = "local", fenced = true } = this.#plan;
      const fence = fenced ? "fenced" : "unfenced";
      const child = startChild("chaos-worker.ts", place, this.#world, engine, fence);
      this.#children.push(child);
      await child.next("ready");
    }
  }

  async suffer(action: Action, random: () => number): Promise<void> {
    if (action === "restart") {
      this.counts.restarts += 1;
      await this.#plan.restarts?.restart();
      return;
    }
    const at = Math.floor(random() * this.#children.length);
    const child = this.#children[at] as Child;
    switch (action) {
      case "kill":
        this.counts.kills += 1;
        await child.kill();
        this.#replace(at);
        break;
      case "drain":
        this.counts.drains += 1;
        child.process.kill("SIGCONT");
        child.process.kill("SIGTERM");
        await child.ended;
        this.#replace(at);
        break;
      case "stop":
        this.counts.stops += 1;
        child.process.kill("SIGSTOP");
        this.#continuing.push(pause(STANDSTILL).then(() => void child.process.kill("SIGCONT")));
        break;
    }
    await this.fill();
  }

  /** Workers that nobody killed or sent away, and that ended. */
  async deserters(): Promise<string[]> {
    const ended = this.#children.filter(({ process: { exitCode, signalCode } }) => {
      return exitCode !== null || signalCode !== null;
    });
    return Promise.all(
      ended.map(async (child) => {
        const { code, stderr } = await child.ended;
        return `a worker ended by itself, with ${code}: ${stderr}`;
      }),
    );
  }

  #replace(at: number): void {
    this.#gone.push(...this.#children.splice(at, 1));
  }

  async end(): Promise<void> {
    await Promise.all(this.#continuing);
    await Promise.all(this.#children.map((child) => child.kill()));
  }
}

/** The database may be away for a moment; what is done here may be done again. */
async function persist<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (tries === 20) throw error;
      await pause(PAUSE);
    }
  }
}

/** Mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
