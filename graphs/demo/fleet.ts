/** The demo's second act: many runs, three workers, one killed, one frozen; and what the world saw of it. */

import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createRuntime, type Runtime } from "holdfast";
import { SqliteSaver } from "holdfast/sqlite";
import { fakeWorld, type FakeWorld } from "holdfast/testing";
import { createBookingGraph, type Trip } from "../booking.ts";
import { claim } from "./claim.ts";
import type { FleetJob, FleetLine, FleetWord } from "./fleet-worker.ts";
import { launch, type Launched } from "./processes.ts";
import { seeded } from "./random.ts";
import { chapter, note, table } from "./screen.ts";
import { count } from "./words.ts";

const WORKER = fileURLToPath(new URL("fleet-worker.ts", import.meta.url));
const TRIPS = 18;
const CITIES = ["Oslo", "Lisbon", "Turin", "Gdansk", "Porto", "Bergen"];
/** How long a frozen worker's runs stay its own. */
const LEASE = 2_000;
/** Of the airline and the hotel, in milliseconds: long enough that a kill meets bookings in flight. */
const LATENCY = 120;
/** Between two looks, in milliseconds, where no worker says anything. */
const GLANCE = 250;

export interface FleetSetting {
  seed: number;
  /** Everything the demo writes. */
  folder: string;
  /** Of the worker processes: where their model is. */
  environment: NodeJS.ProcessEnv;
}

type Fate = "drained" | "killed" | "frozen";

class FleetWorker {
  readonly #launched: Launched;
  readonly holds = new Set<string>();
  readonly lost = new Set<string>();
  took = 0;
  finished = 0;
  fate: Fate = "drained";

  constructor(launched: Launched, onLine: (worker: FleetWorker, line: FleetLine) => void) {
    this.#launched = launched;
    launched.child.on("message", (line) => onLine(this, line as FleetLine));
  }

  get pid(): number {
    return this.#launched.child.pid!;
  }

  say(word: FleetWord): void {
    this.#launched.child.send(word);
  }

  signal(signal: "SIGKILL" | "SIGCONT"): void {
    this.#launched.child.kill(signal);
  }

  ended(): Promise<void> {
    return this.#launched.ended(() => this.fate === "killed");
  }
}

export class Fleet {
  readonly #setting: FleetSetting;
  readonly #database: string;
  readonly #workers: FleetWorker[] = [];
  /** The workers that took each run, in their order. */
  readonly #hands = new Map<string, FleetWorker[]>();
  #heard = Promise.withResolvers<void>();

  constructor(setting: FleetSetting) {
    this.#setting = setting;
    this.#database = join(setting.folder, "fleet.db");
  }

  async tell(): Promise<void> {
    chapter(6, "A fleet: three workers, one killed, one frozen");
    await using world = await fakeWorld();
    world.fail({ delay: LATENCY, times: Infinity });
    await using cleanup = new AsyncDisposableStack();
    const saver = SqliteSaver.fromConnString(this.#database);
    cleanup.defer(() => saver.end());
    const graphs = { booking: createBookingGraph() };
    const runtime = createRuntime({ saver, graphs, worker: false });
    cleanup.defer(() => runtime.close());

    const trips = this.#trips();
    for (const trip of trips) {
      await runtime.start("booking", { trip }, { threadId: trip.id, runId: trip.id });
    }
    note(
      `${TRIPS} trips are to be booked: flight, hotel, itinerary. Accepted, before any worker is there.`,
    );
    for (let i = 0; i < 3; i += 1) this.#launch(world);

    await this.#disturb(runtime);
    await this.#seeThrough(runtime, trips);
    this.#review(world, trips);
  }

  #trips(): Trip[] {
    const random = seeded(this.#setting.seed);
    return Array.from({ length: TRIPS }, (_, i) => ({
      ...{ id: `trip-${i + 1}`, traveller: `Traveller ${i + 1}`, from: "Hamburg" },
      to: CITIES[random(CITIES.length)]!,
      ...{ leaves: "2027-05-01", returns: "2027-05-08" },
    }));
  }

  #launch(world: FakeWorld): void {
    const job: FleetJob = { database: this.#database, leaseDuration: LEASE, concurrency: 2 };
    const launched = launch(WORKER, job, { ...this.#setting.environment, WORLD_URL: world.url });
    this.#workers.push(new FleetWorker(launched, (worker, line) => this.#hear(worker, line)));
  }

  #hear(worker: FleetWorker, { did, run }: FleetLine): void {
    if (did === "took") {
      worker.took += 1;
      worker.holds.add(run);
      this.#hands.set(run, [...(this.#hands.get(run) ?? []), worker]);
    } else {
      worker.holds.delete(run);
      if (did === "lost") worker.lost.add(run);
      else worker.finished += 1;
    }
    this.#heard.resolve();
  }

  /** Until it is true; looked at whenever a worker tells something, and from time to time. */
  async #until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await isTrue())) {
      this.#heard = Promise.withResolvers<void>();
      await Promise.race([this.#heard.promise, delay(GLANCE)]);
    }
  }

  /** Whether what a worker had when it was frozen is done, or somebody else's. */
  async #isOutOfHands(frozen: FleetWorker, runtime: Runtime): Promise<boolean> {
    for (const run of frozen.holds) {
      const isIts = this.#hands.get(run)?.at(-1) === frozen;
      if (isIts && (await runtime.run(run)).status !== "completed") return false;
    }
    return true;
  }

  async #disturb(runtime: Runtime): Promise<void> {
    await this.#until(() => this.#workers.every(({ holds }) => holds.size > 0));
    const [killed, frozen] = this.#workers as [FleetWorker, FleetWorker];
    const held = [...killed.holds];
    killed.fate = "killed";
    killed.signal("SIGKILL");
    note(`Worker ${killed.pid} is killed (SIGKILL) while it works on ${held.join(" and ")}.`);
    await killed.ended();

    await this.#until(() => frozen.holds.size > 0);
    const its = [...frozen.holds];
    frozen.fate = "frozen";
    frozen.say("stand still");
    note(`Worker ${frozen.pid} is frozen (SIGSTOP) while it works on ${its.join(" and ")}.`);
    await this.#until(() => this.#isOutOfHands(frozen, runtime));
    note(
      `Its leases ended after ${LEASE / 1000} s, others took over. Now it goes on, as if nothing had happened:`,
    );
    frozen.signal("SIGCONT");
  }

  async #seeThrough(runtime: Runtime, trips: readonly Trip[]): Promise<void> {
    const [, frozen] = this.#workers as [FleetWorker, FleetWorker];
    const stale = (run: string) => this.#hands.get(run)?.at(-1) !== frozen;
    await this.#until(() => ![...frozen.holds].some(stale));
    note(
      `What it did for ${count(frozen.lost.size, "run")} that it had lost was refused, and it works on.`,
    );
    for (const { id } of trips) {
      const { status } = await runtime.result(id);
      claim(status === "completed", `${id} is completed`);
    }
    for (const worker of this.#workers.filter(({ fate }) => fate !== "killed")) {
      worker.say("drain");
      await worker.ended();
    }
  }

  #review(world: FakeWorld, trips: readonly Trip[]): void {
    note();
    table([
      ["worker", "took", "finished", "lost", "fate"],
      ...this.#workers.map(({ pid, took, finished, lost, fate }) => [
        ...[`${pid}`, `${took}`, `${finished}`, `${lost.size}`],
        fate === "frozen" ? "frozen, drained" : fate,
      ]),
    ]);
    for (const { id } of trips) {
      for (const kind of ["flight", "hotel"] as const) {
        claim(world.performed(kind, { trip: id }).length === 1, `${id} has one ${kind}`);
      }
    }
    const taken = [...this.#hands.values()].filter(({ length }) => length > 1).length;
    claim(taken > 0, "a run was taken over");
    note(
      `\n${TRIPS} runs completed, ${taken} of them by more than one worker. ${TRIPS} flights and ${TRIPS} hotels ` +
        "were booked, each once: the airline and the hotel count them.",
    );
  }
}
