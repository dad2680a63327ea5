/**
 * How values of a state are looked at: as lists, records with keys, or leaves; and when two of them
 * are equal. Messages are records of what they say, without LangChain's own bookkeeping.
 */

export type Structure =
  | { kind: "list"; items: readonly unknown[] }
  | { kind: "record"; type: unknown; entries: ReadonlyMap<string, unknown> }
  | { kind: "leaf" };

const LEAF: Structure = { kind: "leaf" };

/** Two records can be compared key by key only if they are of the same type. */
export function structureOf(value: unknown): Structure {
  if (typeof value !== "object" || value === null || isLeafObject(value)) return LEAF;
  if (Array.isArray(value)) return { kind: "list", items: value as unknown[] };
  if (value instanceof Map) {
    const entries: ReadonlyMap<unknown, unknown> = value;
    const keyed = [...entries.keys()].every((key) => typeof key === "string");
    return keyed
      ? { kind: "record", type: Map, entries: entries as ReadonlyMap<string, unknown> }
      : LEAF;
  }
  if (isMessage(value)) return { kind: "record", type: messageType(value), entries: said(value) };
  const prototype: unknown = Object.getPrototypeOf(value);
  return {
    kind: "record",
    // Objects without a prototype are plain objects, as are those of another realm's `Object`.
    type: prototype === null || isObjectPrototype(prototype) ? Object.prototype : prototype,
    entries: new Map(Object.entries(value)),
  };
}

/** Deep equality by content; functions and other things that no state can hold by identity. */
export function isEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const left = structureOf(a);
  const right = structureOf(b);
  if (left.kind === "list" && right.kind === "list") {
    return (
      left.items.length === right.items.length &&
      left.items.every((item, index) => isEqual(item, right.items[index]))
    );
  }
  if (left.kind === "record" && right.kind === "record") {
    if (left.type !== right.type || left.entries.size !== right.entries.size) return false;
    for (const [key, value] of left.entries) {
      if (!right.entries.has(key) || !isEqual(value, right.entries.get(key))) return false;
    }
    return true;
  }
  return left.kind === "leaf" && right.kind === "leaf" && isEqualLeaf(a, b);
}

function isLeafObject(value: object): boolean {
  return (
    value instanceof Date ||
    value instanceof RegExp ||
    value instanceof URL ||
    value instanceof Error ||
    value instanceof Set ||
    value instanceof ArrayBuffer ||
    ArrayBuffer.isView(value)
  );
}

function isEqualLeaf(a: object, b: object): boolean {
  if (a instanceof Date && b instanceof Date) return Object.is(a.getTime(), b.getTime());
  if (a instanceof Set && b instanceof Set) return isEqualSet(a, b);
  if (a instanceof Map && b instanceof Map) {
    return isEqual([...(a as Map<unknown, unknown>)], [...(b as Map<unknown, unknown>)]);
  }
  if (a instanceof Error && b instanceof Error) {
    const facts = (error: Error): unknown => ({
      own: Object.entries(error),
      name: error.name,
      message: error.message,
      cause: error.cause,
    });
    return isEqual(facts(a), facts(b));
  }
  if (ArrayBuffer.isView(a) && ArrayBuffer.isView(b)) {
    return a.constructor === b.constructor && bytesOf(a).equals(bytesOf(b));
  }
  if (a instanceof ArrayBuffer && b instanceof ArrayBuffer) {
    return Buffer.from(a).equals(Buffer.from(b));
  }
  if (a instanceof RegExp && b instanceof RegExp) return String(a) === String(b);
  return a instanceof URL && b instanceof URL && a.href === b.href;
}

function bytesOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

function isEqualSet(a: ReadonlySet<unknown>, b: ReadonlySet<unknown>): boolean {
  if (a.size !== b.size) return false;
  const others = [...b];
  return [...a].every((member) => b.has(member) || others.some((other) => isEqual(member, other)));
}

function isObjectPrototype(prototype: unknown): boolean {
  return (
    Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, "toString")
  );
}

/** Of any copy of LangChain, so by shape. */
export function isMessage(value: unknown): value is object {
  return (
    typeof value === "object" &&
    value !== null &&
    "lc_serializable" in value &&
    "content" in value &&
    messageType(value) !== undefined
  );
}

/** "human", "ai", "tool" ... */
export function messageType(message: object): string | undefined {
  const { type } = message as { type?: unknown };
  if (typeof type === "string") return type;
  const { _getType: getType } = message as { _getType?: () => unknown };
  return typeof getType === "function" ? String(getType.call(message)) : undefined;
}

/** The fields of a message that have something in them. */
function said(message: object): ReadonlyMap<string, unknown> {
  return new Map(
    Object.entries(message).filter(
      ([key, value]) => !key.startsWith("lc_") && value !== undefined && !isEmpty(value),
    ),
  );
}

/** `tool_calls: []` and `additional_kwargs: {}` say as much as their absence. */
function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
