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
import { UnserializableError, isHoldfastError } from "../../src/errors.ts";
import { align } from "./align.ts";
import { isDerivedField, messageName } from "./messages.ts";
import { PAYLOAD_MIN_LENGTH, type PayloadBook } from "./payloads.ts";
import {
  Payload,
  TAG,
  getOwn,
  isNodeMap,
  keyInTree,
  setOwn,
  tagged,
  type Node,
  type NodeMap,
} from "./tree.ts";
import { isSame } from "./same.ts";
import type { StoredType } from "./types.ts";

const UNDEFINED: NodeMap = { $: TAG.undefined };
const HOLE: NodeMap = { $: TAG.hole };

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
  return new Encoder(context).encode(value, previous);
}

class Encoder {
  readonly #context: EncodeContext;
  /** The containers from the root to here, to find cycles and to name the path in an error. */
  readonly #containers: object[] = [];
  readonly #keys: (string | number)[] = [];

  constructor(context: EncodeContext) {
    this.#context = context;
  }

  encode(value: unknown, previous: Node | undefined): Node {
    try {
      return this.node(value, previous);
    } catch (error) {
      if (isHoldfastError(error)) throw error;
      // A getter, a proxy, or the user's own `types`.
      throw this.#refuse(`a value that cannot be read (${String(error)})`, error);
    }
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
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Array.prototype) return this.#list(value as unknown[], previous);
    if (prototype === Object.prototype) {
      return this.#plain(value as Record<string, unknown>, previous);
    }
    if (prototype === null) {
      const before = tagged(previous, TAG.bare);
      return this.#wrap(TAG.bare, this.#map(value as NodeMap, before?.["v"]), before);
    }
    const message = messageName(value);
    if (message !== undefined) return this.#message(message, value, previous);
    return this.#byType(value, previous) ?? this.#instance(value, previous);
  }

  #list(value: readonly unknown[], previous: Node | undefined): Node {
    const before = Array.isArray(previous) ? previous : [];
    let same = 0;
    while (same < value.length && same < before.length) {
      const old = before[same] as Node;
      if (!isSame(value[same], old) && this.#item(value, same, old) !== old) break;
      same += 1;
    }
    if (same === value.length && same === before.length && before === previous) return before;
    const list = before.slice(0, same);
    const earlier = align(value, before, same);
    for (let i = same; i < value.length; i += 1) {
      list.push(this.#item(value, i, before[earlier[i - same] as number]));
    }
    return list;
  }

  #item(value: readonly unknown[], i: number, old: Node | undefined): Node {
    this.#keys.push(i);
    const item = value[i];
    const node =
      item === undefined && !Object.hasOwn(value, i)
        ? (tagged(old, TAG.hole) ?? HOLE)
        : this.node(item, old);
    this.#keys.pop();
    return node;
  }

  #plain(value: Record<string, unknown>, previous: Node | undefined): Node {
    const before = isNodeMap(previous) && !Object.hasOwn(previous, "$") ? previous : undefined;
    return this.#map(value, before);
  }

  /** An object's own fields, in order: another order of the same keys is another value. */
  #map(value: Record<string, unknown>, previous: Node | undefined): NodeMap {
    const before = isNodeMap(previous) ? previous : undefined;
    const names = Object.keys(value);
    const keys = names.map(keyInTree);
    this.#refuseSymbols(value);
    const old = before === undefined ? undefined : Object.keys(before);
    const same = old?.length === keys.length && old.every((key, i) => key === keys[i]);
    let changed: NodeMap | undefined = same ? undefined : {};
    for (let i = 0; i < keys.length; i += 1) {
      const key = keys[i] as string;
      const name = names[i] as string;
      const old = before === undefined ? undefined : getOwn(before, key);
      this.#keys.push(name);
      const node = this.node(value[name], old);
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
    for (const name of Object.keys(source)) {
      const field = source[name];
      if (field === undefined || isDerivedField(name)) continue;
      count += 1;
      const key = keyInTree(name);
      const was = old === undefined ? undefined : getOwn(old, key);
      this.#keys.push(name);
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
      for (const name of Object.keys(source)) {
        if (source[name] === undefined || isDerivedField(name)) continue;
        const key = keyInTree(name);
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
    // A subclass would come back as something else: it is refused.
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Date.prototype) {
      return this.#leaf(TAG.date, dateForm(value as Date), previous);
    }
    if (prototype === Map.prototype) {
      const before = tagged(previous, TAG.map);
      return this.#wrap(
        TAG.map,
        this.#list([...(value as Map<unknown, unknown>)].flat(), before?.["v"]),
        before,
      );
    }
    if (prototype === Set.prototype) {
      const before = tagged(previous, TAG.set);
      return this.#wrap(TAG.set, this.#list([...(value as Set<unknown>)], before?.["v"]), before);
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
    const kind = ERROR_CLASSES.find(([, Class]) => value instanceof Class)?.[0] ?? "Error";
    const fields: Record<string, unknown> = { name: value.name, message: value.message };
    for (const key of ["stack", "cause", "errors"]) {
      if (Object.hasOwn(value, key)) fields[key] = value[key as keyof Error];
    }
    // Of those that are usually hidden, the ones that are not.
    const shown: string[] = [];
    for (const key of Object.keys(value)) {
      setOwn(fields, key, (value as unknown as Record<string, unknown>)[key]);
      if (HIDDEN_IN_ERRORS.has(key)) shown.push(key);
    }
    const tag = tagged(previous, TAG.error);
    const before = tag !== undefined && tag["k"] === kind ? tag : undefined;
    const content = this.#map(fields, before?.["v"]);
    const list = this.#list(shown, before?.["n"] ?? []);
    if (before !== undefined && before["v"] === content && before["n"] === list) return before;
    return { $: TAG.error, k: kind, v: content, n: list };
  }

  #refuseSymbols(value: object): void {
    for (const symbol of Object.getOwnPropertySymbols(value)) {
      if (Object.prototype.propertyIsEnumerable.call(value, symbol)) {
        throw this.#refuse(`a property with a symbol as its key (${String(symbol)})`);
      }
    }
  }

  #refuse(what: string, cause?: unknown): Error {
    const { channel, node } = this.#context;
    const error = new UnserializableError(what, { channel, path: pathText(this.#keys), node });
    if (cause !== undefined) error.cause = cause;
    return error;
  }
}

type ErrorClass = new (message: string, options?: ErrorOptions) => Error;

/** JavaScript's classes of errors, special ones first: what is stored of a class of the user's. */
export const ERROR_CLASSES: readonly (readonly [name: string, ErrorClass])[] = [
  ["AggregateError", AggregateError as unknown as ErrorClass],
  ...[TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, Error].map(
    (Class) => [Class.name, Class] as const,
  ),
];

/** Properties of errors that are not enumerable, unless somebody set them. */
export const HIDDEN_IN_ERRORS: ReadonlySet<string> = new Set([
  ...["name", "message", "stack", "cause", "errors"],
]);

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
  const { constructor, pageContent, metadata } = value as Partial<Document> & {
    constructor?: { name?: string };
  };
  return (
    constructor?.name === "Document" &&
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
