/**
 * From the user's value to a tree, by a walk against the tree of the version before.
 *
 * Invariants
 *   E1  What is equal to the earlier tree comes back as that very object, so the difference of two
 *       versions is found by comparing references, and an unchanged value allocates nothing.
 *   E2  The walk looks at every leaf: an element that a node changed in place is seen.
 *   E3  What JSON, and the tags, cannot hold faithfully is refused; nothing is ever dropped.
 */

import { DeltaSnapshot, isDeltaSnapshot } from "@langchain/langgraph-checkpoint";
import { Document } from "@langchain/core/documents";
import { UnserializableError } from "../../src/errors.ts";
import { isDerivedField, messageName } from "./messages.ts";
import { PAYLOAD_MIN_LENGTH, type PayloadBook } from "./payloads.ts";
import {
  Payload,
  TAG,
  getOwn,
  isNodeMap,
  setOwn,
  tagged,
  type Node,
  type NodeMap,
} from "./tree.ts";
import { isSame } from "./same.ts";
import type { StoredType } from "./types.ts";

const UNDEFINED: NodeMap = { $: TAG.undefined };

/** Deeper values are refused before the stack overflows. */
const MAX_DEPTH = 1_000;

/** Where the value is, for the error; and what to encode with. */
export interface EncodeContext {
  channel: string;
  node?: string | undefined;
  /** Where long values go; without it they stay inline. */
  payloads: PayloadBook | undefined;
  types: readonly StoredType[];
}

/**
 * The tree of a value; `previous` itself where nothing changed.
 * @throws {UnserializableError} the value holds something that cannot be stored faithfully
 */
export function encode(value: unknown, previous: Node | undefined, context: EncodeContext): Node {
  return new Encoder(context).node(value, previous);
}

class Encoder {
  readonly #context: EncodeContext;
  /** The containers from the root to here, to find cycles and to name the path in an error. */
  readonly #containers: object[] = [];
  readonly #keys: (string | number)[] = [];

  constructor(context: EncodeContext) {
    this.#context = context;
  }

  node(value: unknown, previous: Node | undefined): Node {
    switch (typeof value) {
      case "string":
        return this.#string(value, previous);
      case "number":
        return Number.isFinite(value) && !Object.is(value, -0)
          ? value
          : this.#leaf(TAG.number, Object.is(value, -0) ? "-0" : String(value), previous);
      case "boolean":
        return value;
      case "undefined":
        return tagged(previous, TAG.undefined) ?? UNDEFINED;
      case "bigint":
        return this.#leaf(TAG.bigint, value.toString(), previous);
      case "object":
        if (value === null) return null;
        if (previous !== undefined && isSame(value, previous)) return previous;
        return this.#object(value, previous);
      case "function":
        return this.#byTypeOr(value, previous, `a function (${value.name || "anonymous"})`);
      case "symbol":
        return this.#byTypeOr(value, previous, `a symbol (${String(value)})`);
    }
  }

  #string(value: string, previous: Node | undefined): Node {
    if (previous instanceof Payload && previous.value === value) return previous;
    return this.#context.payloads?.leaf(value) ?? value;
  }

  #leaf(tag: string, content: Node, previous: Node | undefined): Node {
    const same = tagged(previous, tag);
    return same && same["v"] === content ? same : { $: tag, v: content };
  }

  #object(value: object, previous: Node | undefined): Node {
    if (this.#containers.includes(value))
      throw this.#refuse("a cycle (a value that contains itself)");
    if (this.#containers.length >= MAX_DEPTH) throw this.#refuse("a value nested too deeply");
    this.#containers.push(value);
    const node = this.#container(value, previous);
    this.#containers.pop();
    return node;
  }

  #container(value: object, previous: Node | undefined): Node {
    if (Array.isArray(value)) return this.#list(value, previous);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) {
      return this.#plain(value as Record<string, unknown>, previous);
    }
    const message = messageName(value);
    if (message !== undefined) return this.#message(message, value, previous);
    return this.#byType(value, previous) ?? this.#instance(value, previous);
  }

  #list(value: readonly unknown[], previous: Node | undefined): Node {
    const before = Array.isArray(previous) ? previous : undefined;
    let changed: Node[] | undefined =
      before !== undefined && before.length === value.length ? undefined : [];
    for (let i = 0; i < value.length; i += 1) {
      this.#keys.push(i);
      const old = before?.[i];
      const node = this.node(value[i], old);
      this.#keys.pop();
      if (changed === undefined && node !== old) changed = (before as Node[]).slice(0, i);
      changed?.push(node);
    }
    return changed ?? (before as Node[]);
  }

  #plain(value: Record<string, unknown>, previous: Node | undefined): Node {
    if (Object.hasOwn(value, "$")) return this.#escaped(value, previous);
    const before = isNodeMap(previous) && !Object.hasOwn(previous, "$") ? previous : undefined;
    return this.#map(value, before);
  }

  /** An object of the user's with the key that marks ours: as a list, so that none looks like one. */
  #escaped(value: Record<string, unknown>, previous: Node | undefined): Node {
    this.#refuseSymbols(value);
    const before = tagged(previous, TAG.object);
    const old = Array.isArray(before?.["v"]) ? before["v"] : undefined;
    const list = Object.keys(value).flatMap((key, i) => {
      this.#keys.push(key);
      const node = this.node(value[key], old?.[2 * i + 1]);
      this.#keys.pop();
      return [this.#string(key, old?.[2 * i]), node];
    });
    const same = old?.length === list.length && list.every((node, i) => node === old[i]);
    return this.#wrap(TAG.object, same ? old : list, before);
  }

  /** An object's own fields, in order: another order of the same keys is another value. */
  #map(value: Record<string, unknown>, previous: Node | undefined): NodeMap {
    const before = isNodeMap(previous) ? previous : undefined;
    const keys = Object.keys(value);
    this.#refuseSymbols(value);
    let same = before !== undefined;
    if (before !== undefined && keys.length > 0) {
      const old = Object.keys(before);
      same = old.length === keys.length && old.every((key, i) => key === keys[i]);
    } else if (before !== undefined) {
      same = Object.keys(before).length === 0;
    }
    let changed: NodeMap | undefined = same ? undefined : {};
    for (let i = 0; i < keys.length; i += 1) {
      const key = keys[i] as string;
      const old = before === undefined ? undefined : getOwn(before, key);
      this.#keys.push(key);
      const node = this.node(value[key], old);
      this.#keys.pop();
      if (changed === undefined && node !== old) {
        changed = {};
        for (let k = 0; k < i; k += 1) {
          setOwn(changed, keys[k] as string, getOwn(before as NodeMap, keys[k] as string));
        }
      }
      if (changed !== undefined) setOwn(changed, key, node);
    }
    return changed ?? (before as NodeMap);
  }

  #message(name: string, value: object, previous: Node | undefined): Node {
    const tag = tagged(previous, TAG.message);
    const before = tag !== undefined && tag["k"] === name ? tag : undefined;
    const old = before === undefined ? undefined : (before["v"] as NodeMap);
    const source = value as Record<string, unknown>;
    let count = 0;
    let changed: NodeMap | undefined = old === undefined ? {} : undefined;
    for (const key of Object.keys(source)) {
      const field = source[key];
      if (field === undefined || isDerivedField(key)) continue;
      count += 1;
      const was = old === undefined ? undefined : getOwn(old, key);
      this.#keys.push(key);
      const node = this.node(field, was);
      this.#keys.pop();
      if (changed === undefined && node !== was) changed = { ...old };
      if (changed !== undefined) setOwn(changed, key, node);
    }
    if (old !== undefined && changed === undefined && Object.keys(old).length === count) {
      return before as NodeMap;
    }
    if (changed === undefined || Object.keys(changed).length !== count) {
      // A field went away: keep only what the message has now.
      const kept: NodeMap = {};
      for (const key of Object.keys(source)) {
        if (source[key] === undefined || isDerivedField(key)) continue;
        setOwn(kept, key, getOwn(changed ?? (old as NodeMap), key));
      }
      changed = kept;
    }
    return { $: TAG.message, k: name, v: changed };
  }

  #byTypeOr(value: unknown, previous: Node | undefined, what: string): Node {
    const node = this.#byType(value, previous);
    if (node === undefined) throw this.#refuse(what);
    return node;
  }

  #byType(value: unknown, previous: Node | undefined): Node | undefined {
    const type = this.#context.types.find((candidate) => candidate.is(value));
    if (type === undefined) return undefined;
    const tag = tagged(previous, TAG.type);
    const before = tag !== undefined && tag["k"] === type.name ? tag : undefined;
    const form = this.node(type.encode(value), before?.["v"]);
    return before !== undefined && before["v"] === form
      ? before
      : { $: TAG.type, k: type.name, v: form };
  }

  #instance(value: object, previous: Node | undefined): Node {
    if (value instanceof Date) return this.#leaf(TAG.date, dateForm(value), previous);
    if (value instanceof Map) {
      const before = tagged(previous, TAG.map);
      return this.#wrap(TAG.map, this.#list([...value].flat(), before?.["v"]), before);
    }
    if (value instanceof Set) {
      const before = tagged(previous, TAG.set);
      return this.#wrap(TAG.set, this.#list([...value], before?.["v"]), before);
    }
    if (ArrayBuffer.isView(value)) return this.#bytes(value.constructor.name, value, previous);
    if (value instanceof ArrayBuffer)
      return this.#bytes("ArrayBuffer", new Uint8Array(value), previous);
    if (value instanceof Error) return this.#error(value, previous);
    const graph = this.#langgraph(value, previous);
    if (graph !== undefined) return graph;
    if (isDocument(value)) {
      const before = tagged(previous, TAG.document);
      return this.#wrap(TAG.document, this.#map({ ...value }, before?.["v"]), before);
    }
    throw this.#refuse(`an instance of ${value.constructor?.name || "a class"}`);
  }

  /** LangGraph's own classes that travel in channels and pending writes. */
  #langgraph(value: object, previous: Node | undefined): Node | undefined {
    const source = value as Record<string, unknown>;
    if (value instanceof DeltaSnapshot || isDeltaSnapshot(value)) {
      return this.#tagWith(TAG.snapshot, source["value"], previous);
    }
    switch (source["lg_name"]) {
      case "Send":
        return this.#tagWith(
          TAG.send,
          {
            node: source["node"],
            args: source["args"],
            ...(source["timeout"] === undefined ? {} : { timeout: source["timeout"] }),
          },
          previous,
        );
      case "Overwrite":
        return this.#tagWith(TAG.overwrite, source["__overwrite__"], previous);
      case "Command": {
        const fields: Record<string, unknown> = {};
        for (const key of ["graph", "update", "resume", "goto"]) {
          if (source[key] !== undefined) fields[key] = source[key];
        }
        return this.#tagWith(TAG.command, fields, previous);
      }
      default:
        return undefined;
    }
  }

  #tagWith(tag: string, content: unknown, previous: Node | undefined): Node {
    const before = tagged(previous, tag);
    return this.#wrap(tag, this.node(content, before?.["v"]), before);
  }

  #wrap(tag: string, content: Node, before: NodeMap | undefined): Node {
    return before !== undefined && before["v"] === content ? before : { $: tag, v: content };
  }

  #bytes(kind: string, view: ArrayBufferView, previous: Node | undefined): Node {
    if (!BYTE_KINDS.has(kind)) throw this.#refuse(`an instance of ${kind}`);
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    const tag = tagged(previous, TAG.bytes);
    const before = tag !== undefined && tag["k"] === kind ? tag : undefined;
    const { payloads } = this.#context;
    if (payloads === undefined || bytes.length < PAYLOAD_MIN_LENGTH) {
      const text = Buffer.from(bytes).toString("base64");
      return before !== undefined && before["v"] === text
        ? before
        : { $: TAG.bytes, k: kind, v: text };
    }
    const old = before?.["v"];
    if (
      old instanceof Payload &&
      old.value instanceof Uint8Array &&
      Buffer.compare(old.value, bytes) === 0
    ) {
      return before as NodeMap;
    }
    return { $: TAG.bytes, k: kind, v: payloads.ofBytes(bytes) };
  }

  #error(value: Error, previous: Node | undefined): Node {
    const fields: Record<string, unknown> = { name: value.name, message: value.message };
    if (value.stack !== undefined) fields["stack"] = value.stack;
    if (value.cause !== undefined) fields["cause"] = value.cause;
    for (const key of Object.keys(value)) {
      fields[key] = (value as unknown as Record<string, unknown>)[key];
    }
    if (value instanceof AggregateError) fields["errors"] = value.errors;
    const before = tagged(previous, TAG.error);
    return this.#wrap(TAG.error, this.#map(fields, before?.["v"]), before);
  }

  #refuseSymbols(value: object): void {
    for (const symbol of Object.getOwnPropertySymbols(value)) {
      if (Object.prototype.propertyIsEnumerable.call(value, symbol)) {
        throw this.#refuse(`a property with a symbol as its key (${String(symbol)})`);
      }
    }
  }

  #refuse(what: string): Error {
    const { channel, node } = this.#context;
    return new UnserializableError(what, { channel, path: pathText(this.#keys), node });
  }
}

/** Views whose bytes are stored; the name says how to build them again. */
export const BYTE_KINDS: ReadonlySet<string> = new Set([
  "Buffer",
  "ArrayBuffer",
  "DataView",
  "Uint8Array",
  "Uint8ClampedArray",
  "Int8Array",
  "Uint16Array",
  "Int16Array",
  "Uint32Array",
  "Int32Array",
  "Float16Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "BigUint64Array",
]);

/** A document of LangChain's, also of a second copy of `@langchain/core`. */
function isDocument(value: object): boolean {
  if (value instanceof Document) return true;
  const { constructor, pageContent, metadata } = value as Partial<Document> & object;
  return (
    constructor.name === "Document" &&
    typeof pageContent === "string" &&
    typeof metadata === "object"
  );
}

function dateForm(date: Date): Node {
  const time = date.getTime();
  return Number.isNaN(time) ? null : time;
}

function pathText(keys: readonly (string | number)[]): string {
  return keys
    .map((key) =>
      typeof key === "number"
        ? `[${key}]`
        : /^[A-Za-z_$][\w$]*$/.test(key)
          ? `.${key}`
          : `[${JSON.stringify(key)}]`,
    )
    .join("");
}
