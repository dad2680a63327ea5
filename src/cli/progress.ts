/** A run's progress on stderr: a line when a node begins, and one when it has finished. */

import { isParked } from "../steps/wait.ts";
import type { Io } from "./io.ts";
import type { Output } from "./output.ts";
import { fit, harmless } from "./text.ts";

/** What LangGraph's stream mode "tasks" sends: first how a task begins, later how it ended. */
interface TaskEvent {
  id: string;
  name: string;
  input?: unknown;
  result?: Record<string, unknown>;
  interrupts: { value?: unknown }[];
}

export class Progress {
  readonly #io: Io;
  readonly #out: Output;
  readonly #begun = new Map<string, number>();

  constructor(io: Io, out: Output) {
    this.#io = io;
    this.#out = out;
  }

  /** A chunk of a stream with subgraphs and several modes: namespace, mode, payload. */
  show(chunk: unknown): void {
    if (!Array.isArray(chunk)) return;
    const [namespace, mode, payload] = chunk as [readonly string[], string, unknown];
    if (mode !== "tasks") return;
    const task = payload as TaskEvent;
    const label = harmless([...namespace.map(nodeOf), task.name].join(" › "));
    if ("input" in task) this.#begin(task, label);
    else this.#end(task, label);
  }

  #begin(task: TaskEvent, label: string): void {
    this.#begun.set(task.id, this.#io.now());
    this.#say("▸", label, "");
  }

  #end(task: TaskEvent, label: string): void {
    const { dim, green, yellow } = this.#out.notePaint;
    const seconds = (this.#io.now() - (this.#begun.get(task.id) ?? this.#io.now())) / 1000;
    if (task.interrupts.length > 0) {
      const waits = task.interrupts.every((interrupt) => isParked(interrupt.value));
      this.#say(yellow("?"), label, waits ? "waits" : "asks");
      return;
    }
    const wrote = Object.keys(task.result ?? {});
    // A task that failed ends here too, with nothing written; the run's end tells why.
    if (wrote.length === 0) return;
    this.#say(green("✓"), label, dim(`${seconds.toFixed(1)} s  ${harmless(wrote.join(", "))}`));
  }

  #say(mark: string, label: string, rest: string): void {
    this.#out.note(`${mark} ${fit(label, 60)}${rest === "" ? "" : `  ${rest}`}`);
  }
}

/** `search:2f6c...` names a task; its node is enough here. */
function nodeOf(part: string): string {
  return part.split(":", 1)[0] ?? part;
}
