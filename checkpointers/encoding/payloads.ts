/**
 * Payloads: long strings and byte arrays that a thread stores once, however often channels, pending
 * writes and `Send` packets refer to them.
 *
 * They are addressed by a keyed hash (the key is the thread's own random one), so that nobody can
 * prepare two contents that collide, or learn from a hash what a thread holds.
 */

import { createHash, hash } from "node:crypto";
import { Payload, TAG, isNodeMap, type Node } from "./tree.ts";
import { CorruptDataError } from "../../src/errors.ts";

/** Shorter values stay inline: a row and a reference would weigh about as much. */
export const PAYLOAD_MIN_LENGTH = 256;

/** Of 43 base64url digits; 132 bits. */
const HASH_LENGTH = 22;

/** How many long strings of a thread are remembered, to spare hashing the same one again. */
const REMEMBERED = 512;

/** A thread's payloads as its writers know them. */
export class PayloadBook {
  readonly #key: string;
  readonly #recent = new Map<string, Payload>();

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
    return this.remember(new Payload(this.#hash("s", text), text, false));
  }

  /** The payload of a byte array, which is copied: the user may change theirs. */
  ofBytes(bytes: Uint8Array): Payload {
    return new Payload(this.#hash("b", bytes), Uint8Array.from(bytes), false);
  }

  remember(payload: Payload): Payload {
    if (typeof payload.value !== "string") return payload;
    this.#recent.set(payload.value, payload);
    if (this.#recent.size > REMEMBERED) {
      const [oldest] = this.#recent.keys();
      if (oldest !== undefined) this.#recent.delete(oldest);
    }
    return payload;
  }

  #hash(kind: "s" | "b", content: string | Uint8Array): string {
    const digest =
      typeof content === "string" && content.isWellFormed()
        ? hash("sha256", this.#key + kind + content, "base64url")
        : createHash("sha256")
            .update(this.#key + kind)
            // Lone surrogates have no UTF-8.
            .update(typeof content === "string" ? Buffer.from(content, "utf16le") : content)
            .digest("base64url");
    return digest.slice(0, HASH_LENGTH);
  }
}

/** The payload references in a tree that came from the database. */
export function collectReferences(node: Node, into: Set<string>): void {
  if (typeof node !== "object" || node === null) return;
  if (Array.isArray(node)) {
    for (const item of node) collectReferences(item, into);
  } else if (isNodeMap(node)) {
    const hash = referenceOf(node);
    if (hash !== undefined) into.add(hash);
    else for (const key of Object.keys(node)) collectReferences(node[key] as Node, into);
  }
}

/**
 * The same tree with its references replaced by payloads. Changes the containers in place: it is
 * called on trees fresh from the parser, which nobody else holds yet.
 * @throws {CorruptDataError} a payload is missing
 */
export function resolveReferences(node: Node, payloads: ReadonlyMap<string, Payload>): Node {
  if (typeof node !== "object" || node === null || node instanceof Payload) return node;
  if (Array.isArray(node)) {
    for (let i = 0; i < node.length; i += 1) {
      const item = node[i] as Node;
      if (typeof item === "object" && item !== null) node[i] = resolveReferences(item, payloads);
    }
    return node;
  }
  const hash = referenceOf(node);
  if (hash !== undefined) {
    const found = payloads.get(hash);
    if (!found)
      throw new CorruptDataError(`A stored value refers to payload ${hash}, which is gone.`);
    return found;
  }
  for (const key of Object.keys(node)) {
    const item = node[key] as Node;
    if (typeof item === "object" && item !== null) {
      const resolved = resolveReferences(item, payloads);
      if (resolved !== item) node[key] = resolved;
    }
  }
  return node;
}

function referenceOf(node: Node): string | undefined {
  if (!isNodeMap(node) || !Object.hasOwn(node, "$") || node["$"] !== TAG.payload) return undefined;
  return typeof node["h"] === "string" ? node["h"] : undefined;
}
