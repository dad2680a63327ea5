/** What a reader of a run's stream makes of it: the text of its messages, without what became void. */

import type { StreamEvent } from "../../src/runtime/stream.ts";

interface Piece {
  task: string | undefined;
  message: string;
  text: string;
}

export class Transcript {
  readonly events: StreamEvent[] = [];
  #pieces: Piece[] = [];

  add(event: StreamEvent): void {
    this.events.push(event);
    if (event.event === "messages") {
      const [{ id = "", text }] = event.data;
      this.#pieces.push({ task: event.taskId, message: id, text });
    } else if (event.event === "attempt.failed" || event.event === "tasks.restarted") {
      const { tasks, messages } = event.data.voids;
      this.#pieces = this.#pieces.filter(
        ({ task, message }) => !tasks.includes(task ?? "") && !messages.includes(message),
      );
    }
  }

  get ids(): string[] {
    return this.events.map(({ id }) => id);
  }

  get names(): string[] {
    return this.events.map(({ event }) => event);
  }

  /** Of each message, in the order in which they began. */
  get texts(): string[] {
    const texts = Map.groupBy(this.#pieces, ({ message }) => message).values();
    return [...texts].map((pieces) => pieces.map(({ text }) => text).join(""));
  }
}

export async function transcriptOf(stream: AsyncIterable<StreamEvent>): Promise<Transcript> {
  const transcript = new Transcript();
  for await (const event of stream) transcript.add(event);
  return transcript;
}
