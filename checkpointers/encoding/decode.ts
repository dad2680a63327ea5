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

/**
 * Decodes trees. With a memo, equal subtrees of the trees it decodes become one object: right for
 * one listing of a history, whose states share most of what they hold, and nowhere else.
 */
export class Decoder {
  readonly #types: readonly StoredType[];
  readonly #memo: WeakMap<object, unknown> | undefined;

  constructor(types: readonly StoredType[], options?: { shareEqual: boolean }) {
    this.#types = types;
    this.#memo = options?.shareEqual === true ? new WeakMap() : undefined;
  }

  /** The value of a tree; its outermost container is new even where inner ones are shared. */
  decode(node: Node): unknown {
    if (typeof node !== "object" || node === null) return node;
    return Array.isArray(node) ? this.#list(node) : this.#build(node);
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
    const list: unknown[] = [];
    list.length = nodes.length;
    for (let i = 0; i < nodes.length; i += 1) {
      const node = nodes[i] as Node;
      if (tagged(node, TAG.hole) === undefined) list[i] = this.#inner(node);
    }
    return list;
  }

  #map(nodes: Node | undefined): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    if (!isNodeMap(nodes)) throw unexpected("a map", nodes);
    const source = nodes;
    for (const key of Object.keys(source)) {
      setOwn(map, keyOfUser(key), this.#inner(source[key] as Node));
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
        return bytesOf(nameOf(node), content);
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
