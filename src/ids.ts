/** Identifiers as the databases keep them, and the one door to randomness. */

import { createHash, randomBytes, randomUUID } from "node:crypto";

/** Longer ids are kept as their beginning and a hash: a B-tree entry must fit into a page. */
const MAX_KEY_BYTES = 255;
const KEY_PREFIX_BYTES = 200;

/**
 * The bytes under which an id is stored and looked up. Any JavaScript string is an id: NUL and lone
 * surrogates survive, order is that of the code points, and no two ids share a key.
 */
export function keyOf(id: string): Uint8Array {
  const bytes = id.isWellFormed() ? Buffer.from(id) : wtf8(id);
  if (bytes.length <= MAX_KEY_BYTES) return bytes;
  // 0xff occurs in no encoded string, so a long id's key is never a short id's.
  return Buffer.concat([
    bytes.subarray(0, KEY_PREFIX_BYTES),
    Buffer.of(0xff),
    createHash("sha256").update(bytes).digest(),
  ]);
}

/** What the keys of all ids with this prefix begin with. */
export function keyPrefixOf(prefix: string): Uint8Array {
  const bytes = prefix.isWellFormed() ? Buffer.from(prefix) : wtf8(prefix);
  return bytes.subarray(0, KEY_PREFIX_BYTES);
}

/** The id of a key; undefined where the id is longer than its key and must be kept beside it. */
export function idOf(key: Uint8Array): string | undefined {
  if (key.length === KEY_PREFIX_BYTES + 33 && key[KEY_PREFIX_BYTES] === 0xff) return undefined;
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  return bytes.includes(0xed) ? fromWtf8(bytes) : bytes.toString();
}

/** True for ids whose key does not tell them. */
export function isLongId(id: string): boolean {
  return id.length * 3 > MAX_KEY_BYTES && idOf(keyOf(id)) === undefined;
}

/** UTF-8, with a lone surrogate encoded like any other code point (the WTF-8 encoding). */
function wtf8(text: string): Buffer {
  const parts: Buffer[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    parts.push(
      code >= 0xd800 && code <= 0xdfff
        ? Buffer.of(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f))
        : Buffer.from(character),
    );
  }
  return Buffer.concat(parts);
}

function fromWtf8(bytes: Buffer): string {
  let text = "";
  let from = 0;
  for (let at = bytes.indexOf(0xed); at >= 0; at = bytes.indexOf(0xed, at + 3)) {
    const second = bytes[at + 1] ?? 0;
    if (second < 0xa0) continue;
    text += bytes.toString("utf8", from, at);
    text += String.fromCharCode(0xd000 | ((second & 0x3f) << 6) | ((bytes[at + 2] ?? 0) & 0x3f));
    from = at + 3;
  }
  return text + bytes.toString("utf8", from);
}

/** Ten random lowercase hex digits; cheap, since Node keeps random bytes for UUIDs in store. */
export function randomTag(): string {
  const uuid = randomUUID();
  return uuid.slice(0, 8) + uuid.slice(9, 11);
}

/** An id for something new. */
export function randomId(): string {
  return randomUUID();
}

/** Random bytes for keys. */
export function randomKey(length: number): Uint8Array {
  return randomBytes(length);
}

/** Where chance comes from: a number from 0 up to 1, without it. Tests pass their own. */
export type Random = () => number;

/** Chance for jitter; nothing secret is made of it. */
export const random: Random = () => Math.random();

/** 32 hex digits that stand for these texts: equal for equal ones, unlike for any others. */
export function digestOf(...texts: string[]): string {
  return createHash("sha256").update(JSON.stringify(texts)).digest("hex").slice(0, 32);
}

/** Order of UTF-16 code units: as good as any, and the same in all stores. */
export function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
