/**
 * The tree: what a value looks like between the user's objects and the bytes in the database.
 *
 * A tree is plain JSON with two additions. Values that JSON lacks are *tagged*, objects with the
 * key "$" that names the kind (a user's own key is escaped where it could be taken for one of these).
 * Long strings and byte arrays are {@link Payload} leaves, stored once per thread and referred to by
 * hash.
 *
 * Invariants
 *   T1  A tree is never changed once built; a new version shares the unchanged subtrees of the old.
 *   T2  No tree holds an object of the user's, and none is ever handed to the user.
 *   T3  So two subtrees of one lineage are equal if they are the same object, and a difference costs
 *       what differs.
 */

/** JSON, with {@link Payload} leaves. */
export type Node = string | number | boolean | null | Payload | Node[] | NodeMap;
export interface NodeMap {
  [key: string]: Node;
}

/** The kinds of tagged nodes. They are in the database: never change the meaning of one. */
export const TAG = {
  undefined: "u",
  number: "n",
  bigint: "i",
  date: "d",
  map: "M",
  set: "S",
  bytes: "b",
  error: "e",
  message: "m",
  document: "c",
  send: "s",
  overwrite: "O",
  command: "C",
  snapshot: "D",
  type: "t",
  bare: "N",
  hole: "x",
  payload: "p",
} as const;

/** A long string or byte array, stored by itself under a keyed hash of its content. */
export class Payload {
  readonly hash: string;
  readonly value: string | Uint8Array;
  /** In the database or on its way there, so that it need not be sent again. */
  stored: boolean;

  constructor(hash: string, value: string | Uint8Array, stored: boolean) {
    this.hash = hash;
    this.value = value;
    this.stored = stored;
  }

  toJSON(): NodeMap {
    mentioned?.add(this);
    return { $: TAG.payload, h: this.hash };
  }
}

/** Collects what one {@link stringify} refers to. */
let mentioned: Set<Payload> | undefined;

/** The JSON text of a tree or a delta; the payloads that it refers to are added to the set. */
export function stringify(tree: unknown, payloads: Set<Payload>): string {
  mentioned = payloads;
  try {
    return JSON.stringify(tree);
  } finally {
    mentioned = undefined;
  }
}

export function isNodeMap(node: Node | undefined): node is NodeMap {
  return (
    typeof node === "object" && node !== null && !Array.isArray(node) && !(node instanceof Payload)
  );
}

/** The tagged node of this kind, or undefined for any other node. */
export function tagged(node: Node | undefined, tag: string): NodeMap | undefined {
  return isNodeMap(node) && Object.hasOwn(node, "$") && node["$"] === tag ? node : undefined;
}

/** The text of a leaf that may be short (inline) or long (a payload). */
export function textOf(node: Node | undefined): string | undefined {
  if (typeof node === "string") return node;
  return node instanceof Payload && typeof node.value === "string" ? node.value : undefined;
}

/**
 * A key of the user's, as it stands in a tree. One that begins with "$" is escaped, so that no object of
 * the user's looks like a tagged one; and so is one that JSON would have to escape: V8 (13.6, Node 24)
 * takes such a key for another one that it has just parsed at the same place, `"C:\\x"` for `"C:\\\\"`.
 */
export function keyInTree(key: string): string {
  // Pairs of surrogates need no escape, but looking for lone ones takes longer than escaping those few.
  return /^\$|["\\\u0000-\u001f\ud800-\udfff]/.test(key)
    ? `$${key.replace(/[$"\\\u0000-\u001f\ud800-\udfff]/g, escaped)}`
    : key;
}

function escaped(character: string): string {
  return `$${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** The user's key again. */
export function keyOfUser(key: string): string {
  if (!key.startsWith("$")) return key;
  return key
    .slice(1)
    .replace(/\$([0-9a-f]{4})/g, (_, code: string) =>
      String.fromCharCode(Number.parseInt(code, 16)),
    );
}

/** Sets a key as an own property, also `__proto__`. */
export function setOwn(target: object, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  } else {
    (target as Record<string, unknown>)[key] = value;
  }
}

/** Reads an own property; nothing of the prototype ever counts. */
export function getOwn(source: NodeMap, key: string): Node | undefined {
  return Object.hasOwn(source, key) ? source[key] : undefined;
}
