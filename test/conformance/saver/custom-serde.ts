/** A custom serde is asked about every stored byte: what it hides, nobody finds in the database. */

import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { MemorySaver, type SerializerProtocol } from "@langchain/langgraph-checkpoint";
import { describe, expect, test } from "vitest";
import {
  checkpointOf,
  get,
  listed,
  placeForEach,
  put,
  threadConfig,
  versionsOf,
  type NewPlace,
} from "./place.ts";

/** LangGraph's own serializer, which its package keeps to itself. */
function plain(): SerializerProtocol {
  return new MemorySaver().serde;
}

/** AES-256-GCM over LangGraph's own serializer; no two outputs are alike. */
class Encrypting implements SerializerProtocol {
  readonly #inner = plain();
  readonly #key: Buffer;
  dumps = 0;

  constructor(key: Buffer) {
    this.#key = key;
  }

  async dumpsTyped(value: unknown): Promise<[string, Uint8Array]> {
    this.dumps += 1;
    const [type, bytes] = await this.#inner.dumpsTyped(value);
    const nonce = randomBytes(12);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce);
    const sealed = Buffer.concat([cipher.update(bytes), cipher.final()]);
    return [`${type}+aes`, Buffer.concat([nonce, cipher.getAuthTag(), sealed])];
  }

  async loadsTyped(type: string, data: Uint8Array | string): Promise<unknown> {
    const bytes = Buffer.from(data as Uint8Array);
    const decipher = createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(0, 12));
    decipher.setAuthTag(bytes.subarray(12, 28));
    const open = Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]);
    return this.#inner.loadsTyped(type.replace("+aes", ""), open) as Promise<unknown>;
  }
}

/** Words that occur nowhere else, one for each place where a user's data may be. */
const CANARY = {
  value: "canary-channel-value",
  key: "canary-key-of-a-map",
  long: "canary-long-text",
  bytes: "canary-buffer",
  message: "canary-message",
  note: "canary-note",
  metadata: "canary-metadata-value",
  metadataKey: "canary-metadata-key",
  write: "canary-pending-write",
  interrupt: "canary-interrupt",
  error: "canary-error-message",
  send: "canary-send-argument",
  changed: "canary-changed-element",
};
const CANARIES = Object.values(CANARY);

export function customSerdeTests(newPlace: NewPlace): void {
  const place = placeForEach(newPlace);

  /** A thread that holds every canary, over several checkpoints and a fork. */
  async function fill(serde: SerializerProtocol) {
    const saver = await place.get().create({ serde });
    const next = versionsOf(saver);
    const values = {
      text: CANARY.value,
      map: { [CANARY.key]: 1, [`${CANARY.key} again `.repeat(200)]: 2 },
      long: `${CANARY.long} `.repeat(2_000),
      bytes: Buffer.from(`${CANARY.bytes} `.repeat(2_000)),
      messages: [{ type: "human", content: CANARY.message }],
      note: { at: new Date(0), note: CANARY.note },
    };
    const first = await put(saver, threadConfig("t"), checkpointOf(values, next()), {
      user: CANARY.metadata,
      [CANARY.metadataKey]: 1,
    });
    await saver.putWrites(
      first,
      [
        ["text", CANARY.write],
        ["long", `${values.long}${CANARY.write}`],
        ["__pregel_tasks", { node: "n", args: { text: CANARY.send } }],
      ],
      "task",
    );
    await saver.putWrites(first, [["__interrupt__", { value: CANARY.interrupt }]], "asks");
    await saver.putWrites(
      first,
      [["__error__", { message: CANARY.error, name: "Error" }]],
      "fails",
    );
    const edited = {
      ...values,
      messages: [...values.messages, { type: "ai", content: CANARY.changed }],
      long: `${values.long}${CANARY.changed}`,
    };
    const second = await put(saver, first, checkpointOf(edited, next()));
    const fork = await put(saver, first, {
      ...checkpointOf(values, next()),
      id: "long id ".repeat(2_000),
    });
    return { saver, first, second, fork, values, edited };
  }

  test("everything comes back, also in another process", async () => {
    const serde = new Encrypting(randomBytes(32));
    const { saver, first, second, fork, values, edited } = await fill(serde);
    expect(serde.dumps).toBeGreaterThan(0);
    let current = saver;
    for (let i = 0; i < 2; i += 1) {
      expect((await get(current, first)).checkpoint.channel_values).toEqual(values);
      expect((await get(current, second)).checkpoint.channel_values).toEqual(edited);
      expect((await get(current, fork)).checkpoint.channel_values).toEqual(values);
      expect((await get(current, fork)).checkpoint.id).toBe(fork.configurable?.["checkpoint_id"]);
      expect((await get(current, first)).pendingWrites).toHaveLength(5);
      expect(
        await listed(current, threadConfig("t"), { filter: { user: CANARY.metadata } }),
      ).toHaveLength(1);
      current = await place.get().reopen(current, { serde });
    }
    await current.end();
  });

  describe("no plaintext in the database's files", () => {
    test.each(["utf8", "utf16le", "base64", "hex"] as const)("as %s", async (encoding) => {
      const { saver } = await fill(new Encrypting(randomBytes(32)));
      await saver.end();
      const raw = await place.get().rawBytes();
      expect(raw.length).toBeGreaterThan(1_000);
      const found = CANARIES.filter((canary) =>
        formsOf(canary, encoding).some((form) => raw.includes(form)),
      );
      expect(found).toEqual([]);
    });

    test("without the serde they are there: the search works", async () => {
      const { saver } = await fill(plain());
      await saver.end();
      const raw = await place.get().rawBytes();
      expect(CANARIES.filter((canary) => raw.includes(canary)).length).toBeGreaterThan(5);
    });
  });

  test("no hash of a content by which one could look for it", async () => {
    const serde = new Encrypting(randomBytes(32));
    const { saver, values } = await fill(serde);
    await saver.end();
    const raw = await place.get().rawBytes();
    for (const algorithm of ["sha256", "sha1", "md5", "sha512", "blake2b512"]) {
      for (const content of [values.long, JSON.stringify(values.long), values.bytes]) {
        const digest = createHash(algorithm).update(content).digest();
        for (const form of [
          digest.subarray(0, 8),
          digest.toString("hex").slice(0, 16),
          digest.toString("base64").slice(0, 12),
        ]) {
          expect(raw.includes(form), algorithm).toBe(false);
        }
      }
    }
  });

  test("another key, or none, is an error that says so, not garbage", async () => {
    const { saver } = await fill(new Encrypting(randomBytes(32)));
    const other = await place.get().reopen(saver, { serde: new Encrypting(randomBytes(32)) });
    await expect(other.getTuple(threadConfig("t"))).rejects.toThrow();
    const none = await place.get().reopen(other, {});
    await expect(none.getTuple(threadConfig("t"))).rejects.toThrow();
    await none.end();
  });

  test("what the serde alone could not keep comes back too", async () => {
    const serde = new Encrypting(randomBytes(32));
    let saver = await place.get().create({ serde });
    const value = {
      date: new Date(5),
      big: 5n,
      nan: NaN,
      map: new Map([[{ a: 1 }, undefined]]),
      bytes: new Uint8Array(9_000).fill(3),
    };
    const config = await put(saver, threadConfig("t"), checkpointOf({ value }));
    saver = await place.get().reopen(saver, { serde });
    expect((await get(saver, config)).checkpoint.channel_values).toStrictEqual({ value });
    await saver.end();
  });
}

/** How the text would look inside an encoding; for base64 at each of three offsets. */
function formsOf(
  text: string,
  encoding: "utf8" | "utf16le" | "base64" | "hex",
): (Buffer | string)[] {
  if (encoding !== "base64")
    return [encoding === "hex" ? Buffer.from(text).toString("hex") : Buffer.from(text, encoding)];
  return ["", "x", "xx"].map((before) =>
    Buffer.from(before + text)
      .toString("base64")
      .slice(4, -4),
  );
}
