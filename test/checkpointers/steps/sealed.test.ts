/** Under a custom serde nothing of the user's data in steps is stored as it is. */

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { MemorySaver, type SerializerProtocol } from "@langchain/langgraph-checkpoint";
import { describe, expect, it } from "vitest";
import type { TaskAddress } from "../../../src/step-store.ts";
import { PLACES, type Place } from "../../support/places.ts";
import { execute } from "../../support/raw-tables.ts";

/** LangGraph's own serializer with every bit flipped: enough to hide a word from who looks for it. */
class Flipping implements SerializerProtocol {
  readonly #inner = new MemorySaver().serde;
  fails = false;

  async dumpsTyped(value: unknown): Promise<[string, Uint8Array]> {
    if (this.fails) throw new Error("the key is gone");
    const [type, bytes] = await this.#inner.dumpsTyped(value);
    return [type, bytes.map((byte) => ~byte)];
  }

  async loadsTyped(type: string, data: Uint8Array | string): Promise<unknown> {
    const bytes = Buffer.from(data as Uint8Array).map((byte) => ~byte);
    return this.#inner.loadsTyped(type, bytes) as Promise<unknown>;
  }
}

const task: TaskAddress = { threadId: "t", namespace: "", checkpointId: "c", taskId: "k" };
const LONG_ID = `${"beginning ".repeat(30)}canary-id`;

async function rawBytes(place: Place): Promise<string> {
  if (place.url.startsWith("sqlite:")) {
    const folder = dirname(place.url.slice("sqlite:".length));
    return readdirSync(folder)
      .map((file) => readFileSync(join(folder, file), "latin1"))
      .join("");
  }
  let text = "";
  for (const table of ["attempts", "thread_status", "usage", "threads"]) {
    const rows = await execute(place.url, (name) => `SELECT * FROM ${name(table)}`);
    for (const value of rows.flatMap((row) => Object.values(row))) {
      text += value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value);
    }
  }
  return text;
}

describe.each(PLACES)("steps behind a custom serde on %s", (_, newPlace) => {
  it("hide errors, progress notes and the ends of long ids, and read back", async () => {
    const place = await newPlace();
    const saver = place.open({ serde: new Flipping() } as never);
    const { attempts, status } = saver.steps;
    const record = {
      failed: 1,
      startedAt: 1,
      error: { name: "E", message: "canary-attempt", kind: "bug", at: 2 },
    };
    await attempts.write(task, record);
    const noted = {
      currentStep: "ship",
      status: "failed",
      errorMessage: "canary-error",
      progressNote: "canary-note",
    } as const;
    status.note("t", noted);
    status.note(LONG_ID, noted);
    await status.flush();
    const bytes = await rawBytes(place);
    expect(bytes).toContain("ship");
    expect(bytes).not.toContain("canary");
    const other = place.open({ serde: new Flipping() } as never).steps;
    expect(await other.attempts.read(task)).toEqual(record);
    expect(await other.status.read("t")).toMatchObject(noted);
    expect(await other.status.read(LONG_ID)).toMatchObject({ ...noted, threadId: LONG_ID });
    const listed = (await other.status.list()).map(({ threadId }) => threadId);
    expect(listed.toSorted()).toEqual([LONG_ID, "t"].toSorted());
    const shown = await execute(
      place.url,
      (name) => `SELECT thread_id, error_message FROM ${name("workflow_status")}`,
    );
    expect(shown).toContainEqual({ thread_id: "t", error_message: "(sealed)" });
    expect(shown.map((row) => row["error_message"])).toEqual(["(sealed)", "(sealed)"]);
    // What is cleared is cleared.
    other.status.note("t", { errorMessage: undefined });
    expect(await other.status.read("t")).toMatchObject({ errorMessage: undefined });
  });

  it("tell of a serde that fails: who writes at once, who notes by a notice", async () => {
    const place = await newPlace();
    const serde = new Flipping();
    const notices: string[] = [];
    const saver = place.open({
      serde,
      onNotice: (message: string) => notices.push(message),
    } as never);
    const { attempts, status } = saver.steps;
    await saver.setup();
    serde.fails = true;
    await expect(attempts.write(task, { failed: 1, startedAt: 1 })).rejects.toThrow("key is gone");
    status.note("t", { errorMessage: "canary" });
    status.note("u", { currentStep: "ship" });
    await expect(status.flush()).rejects.toThrow("key is gone");
    expect(notices).toEqual([expect.stringContaining("key is gone")]);
    // What it refused is dropped, and holds up nobody else.
    serde.fails = false;
    expect(await status.read("t")).toBeUndefined();
    expect(await status.read("u")).toMatchObject({ currentStep: "ship" });
    expect(await attempts.read(task)).toBeUndefined();
  });
});
