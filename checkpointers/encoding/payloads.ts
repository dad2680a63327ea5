/**
 * Payloads: long strings and byte arrays that a thread stores once, however often channels, pending
 * writes and `Send` packets refer to them.
 *
 * They are addressed by a keyed hash (the key is the thread's own random one), so that nobody can
 * prepare two contents that collide, or learn from a hash what a thread holds.
 */

import { createHash, hash } from "node:crypto";
import { Payload, TAG, type Node, type NodeMap } from "./tree.ts";
import { CorruptDataError } from "../../src/errors.ts";

/** Shorter values stay inline: a row and a reference would weigh about as much. */
export const PAYLOAD_MIN_LENGTH = 256;

/** Of 43 base64url digits; 132 bits. */
export const HASH_LENGTH = 22;

/**
 * How many characters of a thread's long strings are remembered, to spare hashing the same one again:
 * a task's result comes by three times within a superstep or two.
 */
const REMEMBERED_LENGTH = 256 * 1024;

/** A thread's payloads as its writers know them. */
export class PayloadBook {
  readonly #key: string;
  readonly #recent = new Map<string, Payload>();
  #length = 0;

  constructor(key: Uint8Array) {
    this.#key = Buffer.from(key).toString("hex");
  }

  /** The leaf of a string: itself, or its payload; the same object while it is remembered. */
  leaf(text: string): string | Payload {
    return text.length < PAYLOAD_MIN_LENGTH ? text : this.#ofString(text);
  }

  #ofString(text: string): Payload {
    const known = this.#recent.get(text);
    if (known) return known;
    return this.#remember(text, new Payload(this.#hash("s", text), text, false));
  }

  /** The payload of a byte array, which is copied: the user may change theirs. */
  ofBytes(bytes: Uint8Array): Payload {
    return new Payload(this.#hash("b", bytes), Uint8Array.from(bytes), false);
  }

  #remember(text: string, payload: Payload): Payload {
    this.#recent.set(text, payload);
    this.#length += text.length;
    for (const oldest of this.#recent.keys()) {
      if (this.#length <= REMEMBERED_LENGTH || oldest === text) break;
      this.#recent.delete(oldest);
      this.#length -= oldest.length;
    }
    return payload;
  }

  #hash(kind: "s" | "b", content: string | Uint8Array): string {
    const digest =
      typeof content === "string" && content.isWellFormed()
        ? hash("sha256", this.#key + kind + content, "base64url")
        : createHash("sha256")
            // Lone surrogates have no UTF-8; a kind of its own, since these bytes may be another text's.
            .update(this.#key + (kind === "s" ? "u" : kind))
            .update(typeof content === "string" ? Buffer.from(content, "utf16le") : content)
            .digest("base64url");
    return digest.slice(0, HASH_LENGTH);
  }
}

/** How a reference begins in a text; no string or key in JSON looks like it, whose quotes are escaped. */
export const REFERENCE = `{"$":"${TAG.payload}","h":"`;

/** The hashes that a tree's text refers to, as often as it does. */
export function hashesIn(text: string): string[] {
  const hashes: string[] = [];
  for (let at = text.indexOf(REFERENCE); at >= 0; at = text.indexOf(REFERENCE, at)) {
    at += REFERENCE.length;
    hashes.push(text.slice(at, text.indexOf('"', at)));
  }
  return hashes;
}

/** A place in a tree that came from the database where a payload belongs. */
export interface Reference {
  holder: NodeMap | Node[];
  key: string | number;
  hash: string;
}

/** The references below a container, in one walk. */
export function findReferences(container: NodeMap | Node[], into: Reference[] = []): Reference[] {
  if (Array.isArray(container)) {
    for (let i = 0; i < container.length; i += 1) visit(container, i, container[i] as Node, into);
  } else {
    for (const key of Object.keys(container)) visit(container, key, container[key] as Node, into);
  }
  return into;
}

function visit(
  holder: NodeMap | Node[],
  key: string | number,
  node: Node,
  into: Reference[],
): void {
  if (typeof node !== "object" || node === null || node instanceof Payload) return;
  if (!Array.isArray(node) && node["$"] === TAG.payload && typeof node["h"] === "string") {
    into.push({ holder, key, hash: node["h"] });
  } else {
    findReferences(node, into);
  }
}

/**
 * Puts the payloads where they belong. Changes the containers in place: they are fresh from the
 * parser, and nobody else holds them yet.
 * @throws {CorruptDataError} a payload is missing
 */
export function resolveReferences(
  references: readonly Reference[],
  payloads: Pick<ReadonlyMap<string, Payload>, "get">,
): void {
  for (const { holder, key, hash } of references) {
    const payload = payloads.get(hash);
    if (payload === undefined) throw lostPayload(hash);
    // An own key of that name, also `__proto__`: setting it changes no prototype.
    (holder as NodeMap)[key] = payload;
  }
}

export function lostPayload(hash: string): CorruptDataError {
  return new CorruptDataError(`A stored value refers to payload ${hash}, which is gone.`);
}
