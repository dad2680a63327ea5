/**
 * From a tree to the user's value: always new objects, never the tree's own (invariant T2).
 *
 * Only the kinds listed here are ever built. An unknown tag, or a class that is not on the list, is
 * an error, not a guess.
 */

import { DeltaSnapshot } from "@langchain/langgraph-checkpoint";
import { Command, Overwrite, Send } from "@langchain/langgraph";
import { Document } from "@langchain/core/documents";
import { CorruptDataError } from "../../src/errors.ts";
import { BYTE_KINDS, ERROR_CLASSES, HIDDEN_IN_ERRORS } from "./encode.ts";
import { reviveMessage } from "./messages.ts";
import { lostPayload } from "./payloads.ts";
import {
  Payload,
  TAG,
  getOwn,
  isNodeMap,
  keyOfUser,
  setOwn,
  tagged,
  type Node,
  type NodeMap,
} from "./tree.ts";
import type { StoredType } from "./types.ts";

/** The value of a payload, by its hash. */
export type PayloadLookup = (hash: string) => string | Uint8Array | undefined;

/**
 * Decodes trees. With a memo, equal subtrees of the trees it decodes become one object: right for
 * one listing of a history, whose states share most of what they hold, and nowhere else.
 */
export class Decoder {
  readonly #types: readonly StoredType[];
  readonly #memo: WeakMap<object, unknown> | undefined;
  /** The latest list of each channel, for {@link decodeNext}. */
  readonly #latest = new Map<string, { nodes: readonly Node[]; values: readonly unknown[] }>();
  /** While a tree is used up: where its payloads are. */
  #payloads: PayloadLookup | undefined;

  constructor(types: readonly StoredType[], options?: { shareEqual: boolean }) {
    this.#types = types;
    this.#memo = options?.shareEqual === true ? new WeakMap() : undefined;
  }

  /** The value of a tree; its outermost container is new even where inner ones are shared. */
  decode(node: Node): unknown {
    if (typeof node !== "object" || node === null) return node;
    return Array.isArray(node) ? this.#list(node) : this.#build(node);
  }

  /** {@link decode} for one state after the other: of a list, only what the one before it lacks. */
  decodeNext(channel: string, node: Node): unknown {
    if (!Array.isArray(node)) return this.decode(node);
    const latest = this.#latest.get(channel);
    if (latest?.nodes === node) return latest.values.slice();
    let same = 0;
    if (latest !== undefined) {
      const { nodes } = latest;
      const most = Math.min(nodes.length, node.length);
      while (same < most && nodes[same] === node[same]) same += 1;
    }
    const values = latest === undefined ? [] : latest.values.slice(0, same);
    this.#fill(values, node, same);
    this.#latest.set(channel, { nodes: node, values });
    return values.slice();
  }

  /**
   * The value of a tree that nobody else holds, fresh from the parser, its payloads still references:
   * the tree's own containers become the value's, so that nothing is copied.
   */
  useUp(node: Node, payloads: PayloadLookup): unknown {
    this.#payloads = payloads;
    try {
      return this.decode(node);
    } finally {
      this.#payloads = undefined;
    }
  }

  #inner(node: Node): unknown {
    if (typeof node !== "object" || node === null) return node;
    if (this.#memo === undefined || node instanceof Payload) {
      return Array.isArray(node) ? this.#list(node) : this.#build(node);
    }
    if (this.#memo.has(node)) return this.#memo.get(node);
    const value = Array.isArray(node) ? this.#list(node) : this.#build(node);
    this.#memo.set(node, value);
    return value;
  }

  #list(nodes: readonly Node[]): unknown[] {
    if (this.#payloads !== undefined) return this.#ownList(nodes as unknown[]);
    const list: unknown[] = [];
    this.#fill(list, nodes, 0);
    return list;
  }

  #fill(list: unknown[], nodes: readonly Node[], from: number): void {
    list.length = nodes.length;
    for (let i = from; i < nodes.length; i += 1) {
      const node = nodes[i] as Node;
      if (typeof node !== "object") list[i] = node;
      else if (tagged(node, TAG.hole) === undefined) list[i] = this.#inner(node);
    }
  }

  #ownList(list: unknown[]): unknown[] {
    for (let i = 0; i < list.length; i += 1) {
      const node = list[i] as Node;
      if (typeof node !== "object" || node === null) continue;
      if (Array.isArray(node)) list[i] = this.#ownList(node);
      else if ((node as NodeMap)["$"] === TAG.hole) Reflect.deleteProperty(list, i);
      else list[i] = this.#build(node);
    }
    return list;
  }

  #map(nodes: Node | undefined): Record<string, unknown> {
    if (this.#payloads !== undefined) return this.#ownMap(nodes);
    const map: Record<string, unknown> = {};
    if (!isNodeMap(nodes)) throw unexpected("a map", nodes);
    const source = nodes;
    for (const key of Object.keys(source)) {
      setOwn(map, keyOfUser(key), this.#inner(source[key] as Node));
    }
    return map;
  }

  #ownMap(nodes: Node | undefined): Record<string, unknown> {
    if (typeof nodes !== "object" || nodes === null || Array.isArray(nodes))
      throw unexpected("a map", nodes);
    const map = nodes as Record<string, unknown>;
    const keys = Object.keys(map);
    for (let i = 0; i < keys.length; i += 1) {
      const key = keys[i] as string;
      if (key[0] === "$") return this.#renamed(map, keys, i);
      const node = map[key] as Node;
      // An own key, also `__proto__`: setting it changes no prototype.
      if (typeof node === "object" && node !== null) map[key] = this.#inner(node);
    }
    return map;
  }

  /** A map some of whose keys stand for others, from a key on; what is before it is decoded. */
  #renamed(
    source: Record<string, unknown>,
    keys: readonly string[],
    from: number,
  ): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (const [i, key] of keys.entries()) {
      const value = source[key];
      setOwn(map, keyOfUser(key), i < from ? value : this.#inner(value as Node));
    }
    return map;
  }

  #build(node: Exclude<Node, Node[] | string | number | boolean | null>): unknown {
    if (node instanceof Payload) {
      return typeof node.value === "string" ? node.value : Uint8Array.from(node.value);
    }
    if (!Object.hasOwn(node, "$")) return this.#map(node);
    const content = getOwn(node, "v");
    switch (node["$"]) {
      case TAG.payload: {
        const { value } = this.#payload(node);
        return typeof value === "string" ? value : Uint8Array.from(value);
      }
      case TAG.undefined:
        return undefined;
      case TAG.number:
        if (typeof content !== "string") throw unexpected("a number's name", content);
        return Number(content);
      case TAG.bigint:
        if (typeof content !== "string" || !/^-?\d+$/.test(content)) {
          throw unexpected("a whole number", content);
        }
        return BigInt(content);
      case TAG.date:
        if (content !== null && typeof content !== "number") throw unexpected("a time", content);
        return new Date(content ?? Number.NaN);
      case TAG.map: {
        const flat = this.#list(listOf(content));
        const map = new Map<unknown, unknown>();
        for (let i = 0; i < flat.length; i += 2) map.set(flat[i], flat[i + 1]);
        return map;
      }
      case TAG.set:
        return new Set(this.#list(listOf(content)));
      case TAG.bytes:
        return bytesOf(
          nameOf(node),
          tagged(content, TAG.payload) === undefined ? content : this.#payload(content as NodeMap),
        );
      case TAG.error:
        return errorOf(nameOf(node), this.#map(content), getOwn(node, "n"));
      case TAG.message: {
        const message = reviveMessage(nameOf(node), this.#map(content));
        if (message === undefined) throw unexpected("a message class", node["k"]);
        return message;
      }
      case TAG.document:
        return documentOf(this.#map(content));
      case TAG.send: {
        const { node: target, args, timeout } = this.#map(content);
        // The constructor rebuilds its arguments; what is stored has been through it.
        const send = new Send<string, unknown>(String(target), undefined);
        send.args = args;
        if (timeout !== undefined) send.timeout = timeout as NonNullable<typeof send.timeout>;
        return send;
      }
      case TAG.overwrite:
        return new Overwrite(this.#inner(content ?? null));
      case TAG.command:
        return commandOf(this.#map(content));
      case TAG.snapshot:
        return new DeltaSnapshot(this.#inner(content ?? null));
      case TAG.bare:
        return Object.setPrototypeOf(this.#map(content), null) as unknown;
      case TAG.type: {
        const name = nameOf(node);
        const type = this.#types.find((candidate) => candidate.name === name);
        if (type === undefined) {
          throw new CorruptDataError(
            `A stored value is of type "${name}", which is not among this saver's \`types\`. ` +
              "Give the saver the same types as the process that wrote it.",
          );
        }
        return type.decode(this.#inner(content ?? null)) as unknown;
      }
      default:
        throw unexpected("a kind of value", node["$"]);
    }
  }

  /** What a reference stands for; there are none but in a tree that is used up. */
  #payload(reference: NodeMap): Payload {
    const hash = getOwn(reference, "h");
    if (this.#payloads === undefined || typeof hash !== "string") {
      throw unexpected("a kind of value", reference["$"]);
    }
    const value = this.#payloads(hash);
    if (value === undefined) throw lostPayload(hash);
    return new Payload(hash, value, true);
  }
}

function nameOf(node: NodeMap): string {
  const name = getOwn(node, "k");
  if (typeof name !== "string") throw unexpected("a name", name);
  return name;
}

function listOf(node: Node | undefined): Node[] {
  if (!Array.isArray(node)) throw unexpected("a list", node);
  return node;
}

/** As it was: the constructor would rebuild what it is given. */
function commandOf({ graph, update, resume, goto = [] }: Record<string, unknown>): Command {
  return Object.assign(new Command({}), { graph, update, resume, goto });
}

function documentOf(fields: Record<string, unknown>): Document {
  const document = new Document({
    pageContent: String(fields["pageContent"]),
    metadata: fields["metadata"] as Record<string, unknown>,
  });
  for (const key of Object.keys(fields)) setOwn(document, key, fields[key]);
  return document;
}

function errorOf(kind: string, fields: Record<string, unknown>, shown: Node | undefined): Error {
  const Class = ERROR_CLASSES.find(([name]) => name === kind)?.[1];
  if (Class === undefined) throw unexpected("a class of errors", kind);
  const message = String(fields["message"]);
  const error = kind === "AggregateError" ? new AggregateError([], message) : new Class(message);
  // V8 makes a stack of its own.
  hide(error, "stack", undefined);
  for (const key of Object.keys(fields)) {
    const value = fields[key];
    if (!HIDDEN_IN_ERRORS.has(key) || listOf(shown).includes(key)) show(error, key, value);
    else if (key !== "name" || error.name !== value) hide(error, key, value);
  }
  return error;
}

function show(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

function hide(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: false,
    configurable: true,
    writable: true,
  });
}

function bytesOf(kind: string, content: Node | undefined): unknown {
  if (!BYTE_KINDS.has(kind)) throw unexpected("a kind of bytes", kind);
  const bytes =
    content instanceof Payload && content.value instanceof Uint8Array
      ? Uint8Array.from(content.value)
      : Uint8Array.from(Buffer.from(typeof content === "string" ? content : "", "base64"));
  if (!(content instanceof Payload) && typeof content !== "string") {
    throw unexpected("bytes", content);
  }
  const { buffer } = bytes;
  if (kind === "Uint8Array") return bytes;
  if (kind === "Buffer") return Buffer.from(buffer);
  if (kind === "ArrayBuffer") return buffer;
  const View = (
    globalThis as unknown as Record<string, (new (buffer: ArrayBuffer) => unknown) | undefined>
  )[kind];
  if (View === undefined) throw unexpected("a kind of bytes this Node knows", kind);
  try {
    return new View(buffer);
  } catch {
    throw unexpected(`the bytes of a ${kind}`, bytes.length);
  }
}

function unexpected(what: string, found: unknown): CorruptDataError {
  const text = JSON.stringify(found) ?? String(found);
  return new CorruptDataError(
    `A stored value is damaged or from a newer holdfast: expected ${what}, found ${text.slice(0, 80)}.`,
  );
}
