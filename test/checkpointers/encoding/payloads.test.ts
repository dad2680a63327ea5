import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PAYLOAD_MIN_LENGTH, PayloadBook } from "../../../checkpointers/encoding/payloads.ts";
import { Payload } from "../../../checkpointers/encoding/tree.ts";
import { anyText } from "./arbitrary/values.ts";
import { Store } from "./stored.ts";

const book = (key = "key"): PayloadBook => new PayloadBook(Buffer.from(key));
const hashOf = (text: string, key?: string): string => (book(key).leaf(text) as Payload).hash;
const long = (text: string): string => text.repeat(Math.ceil(PAYLOAD_MIN_LENGTH / text.length));

describe("a payload", () => {
  it("is made of long strings only", () => {
    expect(book().leaf("x".repeat(PAYLOAD_MIN_LENGTH - 1))).toBeTypeOf("string");
    expect(book().leaf("x".repeat(PAYLOAD_MIN_LENGTH))).toBeInstanceOf(Payload);
  });

  it("is the same object for the same text, while it is remembered", () => {
    const one = book();
    expect(one.leaf(long("a"))).toBe(one.leaf(long("a")));
  });

  it("has the same hash in each book of the thread, another in other threads', no plain one", () => {
    expect(hashOf(long("a"))).toBe(hashOf(long("a")));
    expect(hashOf(long("a"), "another")).not.toBe(hashOf(long("a")));
    const plain = createHash("sha256").update(long("a")).digest("base64url");
    expect(plain.startsWith(hashOf(long("a")))).toBe(false);
  });

  it("has a hash of its own, whatever the text", () => {
    fc.assert(
      fc.property(anyText, anyText, (one, other) => {
        const [a, b] = [long(`${one}-`), long(`${other}-`)];
        expect(hashOf(a) === hashOf(b)).toBe(a === b);
      }),
    );
  });

  it("of text with lone surrogates is not that of the text whose UTF-8 its UTF-16 happens to be", () => {
    const one = "\ud800\u0080".repeat(200);
    const other = "\0\u0600\0".repeat(200);
    expect(Buffer.from(one, "utf16le")).toEqual(Buffer.from(other, "utf8"));
    expect(hashOf(one)).not.toBe(hashOf(other));
    expect(new Store().roundTrip([one, other])).toEqual([one, other]);
  });

  it("of bytes is not that of the text with these bytes", () => {
    const text = long("a");
    expect(book().ofBytes(Buffer.from(text)).hash).not.toBe(hashOf(text));
  });

  it("of bytes is a copy", () => {
    const bytes = new Uint8Array(500);
    const payload = book().ofBytes(bytes);
    bytes.fill(1);
    expect(payload.value).toEqual(new Uint8Array(500));
  });

  it("is stored once, however often it is mentioned", () => {
    const store = new Store();
    const text = long("secret ");
    const stored = store.write(store.encode([text, { text }, new Map([[text, [text]]])]));
    expect(stored).not.toContain("secret");
    expect(new Set(stored.match(/"h":"[^"]+"/g)).size).toBe(1);
  });
});
