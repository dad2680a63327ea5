/** What a run streams, as a person or a program follows it. */

import type { StreamChunk, StreamEvent } from "../../../runtime/stream.ts";
import type { StoredRun } from "../../../run-store.ts";
import type { Cli } from "../../cli.ts";
import type { Saver } from "../../database.ts";
import { when } from "../../format.ts";
import { exitAs, mustReadRun, queueOf, runtimeOn } from "../../runs.ts";
import { harmless, harmlessLines } from "../../text.ts";
import { textOf } from "../../values.ts";

/** @throws {Exit} it did not complete */
export async function tailStream(
  cli: Cli,
  saver: Saver,
  { runId }: StoredRun,
  after: string | undefined,
): Promise<void> {
  const runtime = await runtimeOn(saver);
  const { signal } = cli.io;
  const lines = new Lines(cli);
  try {
    for await (const event of runtime.stream(runId, { signal, ...(after && { after }) })) {
      if (cli.out.forPeople) lines.add(event);
      else cli.out.jsonLine(event);
    }
  } finally {
    lines.end();
  }
  exitAs(await mustReadRun(queueOf(saver), runId));
}

/** For people: a line for each event, and one for each message, whose pieces come one by one. */
class Lines {
  readonly #cli: Cli;
  #message: { id: string; at: number; node: string; text: string } | undefined;

  constructor(cli: Cli) {
    this.#cli = cli;
  }

  add(event: StreamEvent): void {
    if (event.event !== "messages") {
      this.end();
      this.#line(event.at, this.#textOf(event));
      return;
    }
    const [{ id = "", text }, { langgraph_node: node }] = event.data;
    if (this.#message?.id !== id) this.end();
    this.#message ??= { id, at: event.at, node: textOf(node), text: "" };
    this.#message.text += text;
  }

  /** No more pieces come of the message that is open. */
  end(): void {
    const { at, node, text } = this.#message ?? { text: "" };
    this.#message = undefined;
    if (at === undefined || node === undefined || text === "") return;
    this.#line(at, `${this.#cli.out.paint.green(harmless(node))}  ${harmlessLines(text)}`);
  }

  #line(at: number, text: string): void {
    const { out } = this.#cli;
    out.lines([`${out.paint.dim(when(new Date(at).toISOString()))}  ${text}`]);
  }

  #textOf(event: StreamEvent): string {
    const { bold, yellow } = this.#cli.out.paint;
    switch (event.event) {
      case "run.started":
        return bold(`running${event.attempt > 1 ? `  attempt ${event.attempt}` : ""}`);
      case "run.ended":
      case "run.waits": {
        const { status, reason } = event.data;
        return `${bold(status)}${reason === undefined ? "" : `  ${harmless(reason)}`}`;
      }
      case "attempt.failed": {
        const { node = "", attempt, error } = event.data;
        return yellow(`✗ ${harmless(node)}  attempt ${attempt}: ${harmless(error.message)}`);
      }
      case "tasks.restarted":
        return yellow("runs again what had not finished");
      case "chunk.refused":
        return yellow(`left out of "${event.data.mode}": ${harmless(event.data.error.message)}`);
      case "events.gone":
        return yellow("some events were removed meanwhile");
      default:
        return chunkText(event);
    }
  }
}

function chunkText({ event, data, namespace }: StreamChunk): string {
  const inside = namespace.length === 0 ? "" : `${namespace.join(" > ")}  `;
  return `${harmless(inside)}${event}  ${harmless(textOf(data))}`;
}
