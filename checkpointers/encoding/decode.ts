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
import { BYTE_KINDS } from "./encode.ts";
import { reviveMessage } from "./messages.ts";
import { Payload, TAG, getOwn, setOwn, type Node, type NodeMap } from "./tree.ts";
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
    const list = Array.from<unknown>({ length: nodes.length });
    for (let i = 0; i < nodes.length; i += 1) list[i] = this.#inner(nodes[i] as Node);
    return list;
  }

  #map(nodes: Node | undefined): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    if (typeof nodes !== "object" || nodes === null) throw unexpected("a map", nodes);
    const source = nodes as NodeMap;
    for (const key of Object.keys(source)) setOwn(map, key, this.#inner(source[key] as Node));
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
        return Number(content);
      case TAG.bigint:
        return BigInt(content as string);
      case TAG.date:
        return new Date(content === null ? Number.NaN : (content as number));
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
        return errorOf(this.#map(content));
      case TAG.message: {
        const message = reviveMessage(nameOf(node), this.#map(content));
        if (message === undefined) throw unexpected("a message class", node["k"]);
        return message;
      }
      case TAG.document:
        return documentOf(this.#map(content));
      case TAG.send: {
        const { node: target, args, timeout } = this.#map(content);
        const send = new Send(String(target), args);
        // The constructor coerces a timeout; what is stored has been through it.
        if (timeout !== undefined) send.timeout = timeout as NonNullable<typeof send.timeout>;
        return send;
      }
      case TAG.overwrite:
        return new Overwrite(this.#inner(content ?? null));
      case TAG.command:
        return new Command(this.#map(content));
      case TAG.snapshot:
        return new DeltaSnapshot(this.#inner(content ?? null));
      case TAG.object: {
        const flat = this.#list(listOf(content));
        const map = {};
        for (let i = 0; i < flat.length; i += 2) setOwn(map, flat[i] as string, flat[i + 1]);
        return map;
      }
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

function documentOf(fields: Record<string, unknown>): Document {
  const document = new Document({
    pageContent: String(fields["pageContent"]),
    metadata: fields["metadata"] as Record<string, unknown>,
  });
  return Object.assign(document, fields);
}

function errorOf(fields: Record<string, unknown>): Error {
  const { name, message, stack, cause, errors, ...rest } = fields;
  const Class = ERROR_CLASSES.get(String(name)) ?? Error;
  const options = "cause" in fields ? { cause } : undefined;
  const error =
    Class === AggregateError
      ? new AggregateError(
          Array.isArray(errors) ? (errors as unknown[]) : [],
          String(message),
          options,
        )
      : new Class(String(message), options);
  if (error.name !== name) hide(error, "name", name);
  hide(error, "stack", stack);
  for (const key of Object.keys(rest)) setOwn(error, key, rest[key]);
  return error;
}

function hide(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, {
    value,
    enumerable: false,
    configurable: true,
    writable: true,
  });
}

const ERROR_CLASSES: ReadonlyMap<string, new (message: string, options?: ErrorOptions) => Error> =
  new Map(
    [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError]
      .map((Class): [string, new (message: string, options?: ErrorOptions) => Error] => [
        Class.name,
        Class,
      ])
      .concat([["AggregateError", AggregateError as unknown as new (message: string) => Error]]),
  );

function bytesOf(kind: string, content: Node | undefined): unknown {
  if (!BYTE_KINDS.has(kind)) throw unexpected("a kind of bytes", kind);
  const bytes =
    content instanceof Payload && content.value instanceof Uint8Array
      ? Uint8Array.from(content.value)
      : Uint8Array.from(Buffer.from(typeof content === "string" ? content : "", "base64"));
  const { buffer } = bytes;
  if (kind === "Uint8Array") return bytes;
  if (kind === "Buffer") return Buffer.from(buffer);
  if (kind === "ArrayBuffer") return buffer;
  const View = (
    globalThis as unknown as Record<string, (new (buffer: ArrayBuffer) => unknown) | undefined>
  )[kind];
  if (View === undefined) throw unexpected("a kind of bytes this Node knows", kind);
  return new View(buffer);
}

function unexpected(what: string, found: unknown): CorruptDataError {
  const text = JSON.stringify(found) ?? String(found);
  return new CorruptDataError(
    `A stored value is damaged or from a newer holdfast: expected ${what}, found ${text.slice(0, 80)}.`,
  );
}
