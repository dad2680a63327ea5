/** Arbitrary edits: what nodes do to a channel's value between two versions, in place. */

import fc from "fast-check";
import { isBaseMessage } from "@langchain/core/messages";
import { Store } from "../stored.ts";
import { anyText, key, objectOf, value } from "./values.ts";

/** One edit; the numbers choose where and what, whatever the value looks like. */
export interface Edit {
  /** Which way down, at each level; it is also cut short by what it meets. */
  path: number[];
  what: number;
  where: number;
  item: unknown;
  name: string;
  text: string;
}

export const edit: fc.Arbitrary<Edit> = fc.record({
  path: fc.array(fc.nat(50), { maxLength: 4 }),
  what: fc.nat(100),
  where: fc.nat(50),
  item: value,
  name: key,
  text: anyText,
});

const item = fc.record(
  { id: fc.uuid(), text: fc.string(), done: fc.boolean() },
  { noNullPrototype: true },
);

/** A list or an object with enough in it for edits to matter. */
export const state: fc.Arbitrary<unknown> = fc.oneof(
  fc.array(value, { minLength: 3, maxLength: 20 }),
  fc.array(fc.tuple(key, value), { minLength: 3, maxLength: 20 }).map(objectOf),
  fc.array(item, { minLength: 5 }),
  fc.string({ minLength: 250, maxLength: 600 }),
  value,
);

/** The value after the edit: the same object, changed, where it is one. */
export function apply(target: unknown, edit: Edit): unknown {
  return applyAt(target, { ...edit, item: copyOf(edit.item) });
}

/** fast-check runs a property again with the very values that an earlier run has changed. */
export function copyOf(value: unknown): unknown {
  return new Store().roundTrip(value);
}

function applyAt(target: unknown, edit: Edit): unknown {
  const [turn, ...path] = edit.path;
  if (turn !== undefined && Array.isArray(target) && target.length > 0) {
    const at = turn % target.length;
    target[at] = applyAt(target[at], { ...edit, path });
    return target;
  }
  if (turn !== undefined && isPlain(target) && Object.keys(target).length > 0) {
    const names = Object.keys(target);
    const name = names[turn % names.length] as string;
    set(target, name, applyAt(target[name], { ...edit, path }));
    return target;
  }
  if (isBaseMessage(target)) return Object.assign(target, { content: edit.text, id: edit.name });
  if (Array.isArray(target)) return editList(target, edit);
  if (target instanceof Map) return target.set(edit.name, edit.item);
  if (target instanceof Set) return target.add(edit.item);
  if (isPlain(target)) return editObject(target, edit);
  return typeof target === "string" ? editText(target, edit) : edit.item;
}

function editList(list: unknown[], { what, where, item }: Edit): unknown {
  const at = where % (list.length + 1);
  const edits: (() => unknown)[] = [
    () => list.push(item),
    () => list.push(item, item, where),
    () => list.unshift(item),
    () => list.splice(at, 0, item),
    () => list.splice(at, 1),
    () => list.splice(at, 3),
    () => list.splice(at, 1, item),
    () => list.push(item) && list.shift(),
    () => list.push(item) && list.splice(0, at),
    () => list.reverse(),
    () => list.splice(at, 2, ...list.slice(at, at + 2).toReversed()),
    () => list.unshift(...list.splice(at)),
    () => list.push(...list),
    () => (list.length = at),
  ];
  const chosen = edits[what % (edits.length + 2)];
  if (chosen === undefined) return what % 2 === 0 ? item : [...list, item];
  chosen();
  if (list.length > 200) list.length = 50;
  return list;
}

function editObject(object: Record<string, unknown>, { what, where, item, name }: Edit): unknown {
  const names = Object.keys(object);
  const chosen = names[where % Math.max(names.length, 1)] ?? name;
  switch (what % 8) {
    case 0:
      set(object, name, item);
      return object;
    case 1:
      Reflect.deleteProperty(object, chosen);
      return object;
    case 2:
      set(object, chosen, item);
      return object;
    case 3: {
      // Deleted and set again: last in order.
      const content = Object.hasOwn(object, chosen) ? object[chosen] : item;
      Reflect.deleteProperty(object, chosen);
      set(object, chosen, content);
      return object;
    }
    case 4:
      set(object, String(where), item);
      return object;
    case 5:
      return objectOf(Object.entries(object).toReversed());
    case 6:
      return objectOf([[name, item], ...Object.entries(object)]);
    default:
      return item;
  }
}

function editText(text: string, edit: Edit): unknown {
  const at = edit.where % (text.length + 1);
  const edits = [
    () => text + edit.text,
    () => edit.text + text,
    () => text.slice(0, at) + edit.text + text.slice(at),
    () => text.slice(0, at) + edit.text + text.slice(at + 3),
    () => text.slice(at),
    () => text.slice(0, at),
    () => text + text.slice(0, 500),
    () => edit.item,
  ];
  return edits[edit.what % edits.length]?.();
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

function set(object: object, name: string, content: unknown): void {
  Object.defineProperty(object, name, {
    value: content,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}
