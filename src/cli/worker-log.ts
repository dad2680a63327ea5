/** What a worker does, as it does it: a line on stderr for people, or each event as JSON on stdout. */

import { events, type EmittedEvent, type EventName, type HoldfastEvents } from "../events.ts";
import type { Cli } from "./cli.ts";
import { describeError } from "./exit.ts";
import { instant } from "./format.ts";
import { harmless } from "./text.ts";

const PRINTED: ReadonlySet<EventName> = new Set<EventName>([
  ...([
    "run.started",
    "run.left",
    "run.abandoned",
    "run.completed",
    "run.failed",
    "run.dead",
    "run.stalled",
  ] as const),
  ...([
    "run.parked",
    "lease.lost",
    "worker.troubled",
    "trigger.failed",
    "engine.troubled",
  ] as const),
  ...(["schedule.fired", "schedule.skipped"] as const),
]);

export class WorkerLog {
  readonly #cli: Cli;
  /** The runs that are worked on, by their threads: not all events know their run. */
  readonly #runs = new Map<string, string>();
  readonly #end: () => void;
  /** A database that is gone troubles the worker again and again; it says so once. */
  #trouble: string | undefined;

  constructor(cli: Cli) {
    this.#cli = cli;
    this.#end = events.on("*", (event) => this.#hear(event));
  }

  end(): void {
    this.#end();
  }

  #hear(event: EmittedEvent): void {
    if (!PRINTED.has(event.name)) return;
    const data = event.data as { threadId?: string; runId?: string };
    const { threadId = "" } = data;
    if (event.name === "run.started") this.#runs.set(threadId, data.runId ?? "");
    const isOwn = event.name === "run.dead" || event.name.startsWith("schedule.");
    const runId = isOwn ? data.runId : (this.#runs.get(threadId) ?? data.runId);
    if (event.name === "run.left" || event.name === "run.abandoned") this.#runs.delete(threadId);
    if (this.#cli.out.forPeople) {
      this.#say(event, runId);
      return;
    }
    const at = new Date(this.#cli.io.now()).toISOString();
    const own = runId === undefined ? {} : { runId };
    this.#cli.out.jsonLine({ event: event.name, at, ...data, ...own });
  }

  #say({ name, data }: EmittedEvent, runId: string | undefined): void {
    const { green, red, yellow, dim } = this.#cli.out.notePaint;
    if (!name.endsWith(".troubled")) this.#trouble = undefined;
    switch (name) {
      case "run.started": {
        const { graph, threadId, attempt } = data as HoldfastEvents["run.started"];
        const again = attempt > 1 ? `  attempt ${attempt}` : "";
        return this.#line("▸ takes", runId, `${graph}  thread ${threadId}${again}`);
      }
      case "run.left": {
        const { status, startAt, reason = "" } = data as HoldfastEvents["run.left"];
        const until = startAt === undefined ? "" : `until ${instant(startAt)}: `;
        switch (status) {
          case "completed":
            return this.#line(green("✓ completed"), runId, "");
          case "parked":
            return this.#line(yellow("… parked"), runId, `${until}${reason}`);
          case "interrupted":
            return this.#line(yellow("? waits"), runId, reason);
          case "queued":
            return this.#line(dim("↩ leaves"), runId, "for the next worker");
          default:
            return this.#line(red(`✗ ${status}`), runId, reason);
        }
      }
      case "run.abandoned": {
        const { error } = data as HoldfastEvents["run.abandoned"];
        return this.#line(red("✗ abandons"), runId, describeError(error));
      }
      case "run.dead": {
        const { reason = "" } = data as HoldfastEvents["run.dead"];
        return this.#line(red("✗ gives up"), runId, reason);
      }
      case "run.stalled": {
        const { step, lastHeartbeat } = data as HoldfastEvents["run.stalled"];
        const where = step === undefined ? "" : ` in ${step}`;
        return this.#line(
          red("… stalled"),
          runId,
          `silent since ${instant(lastHeartbeat)}${where}`,
        );
      }
      case "lease.lost":
        return this.#line(red("✗ lost its lease"), runId, "another worker may have it");
      case "schedule.fired": {
        const { schedule } = data as HoldfastEvents["schedule.fired"];
        return this.#line(dim("◷ fires"), runId, `schedule ${schedule}`);
      }
      case "schedule.skipped": {
        const { schedule, scheduledAt, untilAt, reason } =
          data as HoldfastEvents["schedule.skipped"];
        const until = untilAt === scheduledAt ? "" : ` to ${instant(untilAt)}`;
        const what = `schedule ${schedule}, ${instant(scheduledAt)}${until}: ${reason}`;
        return this.#line(yellow("◷ leaves out"), undefined, what);
      }
      case "trigger.failed": {
        const { listener, eventId, skipped, error } = data as HoldfastEvents["trigger.failed"];
        const what = `listener ${listener}, event ${eventId}: ${describeError(error)}`;
        return this.#line(skipped ? red("✗ skips") : yellow("! could not begin"), undefined, what);
      }
      case "worker.troubled":
      case "engine.troubled": {
        const trouble = describeError((data as HoldfastEvents[typeof name]).error);
        if (trouble !== this.#trouble) this.#line(red("! in trouble"), undefined, trouble);
        this.#trouble = trouble;
        return;
      }
      default:
      // What ends or parks a run is said once it is stored, by "run.left".
    }
  }

  #line(what: string, runId: string | undefined, detail: string): void {
    const { io, out } = this.#cli;
    const run = runId === undefined ? [] : [`run ${harmless(runId)}`];
    const rest = detail === "" ? [] : [harmless(detail)];
    out.note([out.notePaint.dim(instant(io.now())), what, ...run, ...rest].join("  "));
  }
}
