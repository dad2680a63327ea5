/**
 * LangChain messages as trees and back.
 *
 * A message is kept by its class and its own fields, not by LangChain's `toJSON`: that loses fields
 * set after construction, and loading it again runs constructors, which parse, warn and cost about
 * ten times as much. Here a message is rebuilt field by field on the prototype of its class, in the
 * order in which the constructor lays the fields out.
 */

import {
  AIMessage,
  AIMessageChunk,
  ChatMessage,
  ChatMessageChunk,
  FunctionMessage,
  FunctionMessageChunk,
  HumanMessage,
  HumanMessageChunk,
  RemoveMessage,
  SystemMessage,
  SystemMessageChunk,
  ToolMessage,
  ToolMessageChunk,
} from "@langchain/core/messages";

/** The class name that is stored, and one instance to learn the layout from. */
const SAMPLES: readonly [name: string, sample: () => object][] = [
  ["HumanMessage", () => new HumanMessage("")],
  ["AIMessage", () => new AIMessage("")],
  ["SystemMessage", () => new SystemMessage("")],
  ["ToolMessage", () => new ToolMessage({ content: "", tool_call_id: "" })],
  ["ChatMessage", () => new ChatMessage("", "")],
  ["FunctionMessage", () => new FunctionMessage({ content: "", name: "" })],
  ["RemoveMessage", () => new RemoveMessage({ id: "" })],
  ["HumanMessageChunk", () => new HumanMessageChunk("")],
  ["AIMessageChunk", () => new AIMessageChunk("")],
  ["SystemMessageChunk", () => new SystemMessageChunk("")],
  ["ToolMessageChunk", () => new ToolMessageChunk({ content: "", tool_call_id: "" })],
  ["ChatMessageChunk", () => new ChatMessageChunk("", "")],
  ["FunctionMessageChunk", () => new FunctionMessageChunk({ content: "", name: "" })],
];

const MESSAGE = Symbol.for("langchain.message");

/** What each field of a class is: part of every instance alike, derived, or the message's own. */
type Part =
  | { key: string | symbol; kind: "constant"; value: unknown }
  | { key: string; kind: "namespace" | "kwargs" | "field" };

interface MessageClass {
  name: string;
  prototype: object;
  layout: readonly Part[];
  /** Fields of the layout that hold data. */
  fields: ReadonlySet<string>;
}

const byName = new Map<string, MessageClass>();
const byConstructor = new WeakMap<object, MessageClass | "foreign">();

function classes(): Map<string, MessageClass> {
  if (byName.size > 0) return byName;
  for (const [name, sample] of SAMPLES) {
    const instance = sample();
    const layout = Reflect.ownKeys(instance).map((key) => partOf(instance, key));
    const known: MessageClass = {
      name,
      prototype: Object.getPrototypeOf(instance) as object,
      layout,
      fields: new Set(
        layout.filter((part) => part.kind === "field").map((part) => part.key as string),
      ),
    };
    byName.set(name, known);
    byConstructor.set(instance.constructor, known);
  }
  return byName;
}

function partOf(instance: object, key: string | symbol): Part {
  const value = (instance as Record<string | symbol, unknown>)[key];
  if (typeof key === "symbol") return { key, kind: "constant", value };
  switch (key) {
    case "lc_serializable":
    case "lc_direct_tool_output":
    case "type":
      return { key, kind: "constant", value };
    case "lc_namespace":
      return { key, kind: "namespace" };
    case "lc_kwargs":
      return { key, kind: "kwargs" };
    default:
      return { key, kind: "field" };
  }
}

/** True for the fields that a rebuilt message gets from its class. */
export function isDerivedField(key: string): boolean {
  return (
    key === "lc_kwargs" ||
    key === "lc_serializable" ||
    key === "lc_namespace" ||
    key === "type" ||
    key === "lc_direct_tool_output"
  );
}

/**
 * The name under which a message is stored; undefined for what is not a message of LangChain's own
 * classes. A second copy of `@langchain/core` in the process is recognised by name.
 */
export function messageName(value: object): string | undefined {
  if (!(MESSAGE in value)) return undefined;
  const known = classes();
  const constructor = value.constructor as { name: string; lc_name?: () => string };
  const cached = byConstructor.get(constructor);
  if (cached !== undefined) return cached === "foreign" ? undefined : cached.name;
  const name = Object.hasOwn(constructor, "lc_name") ? constructor.lc_name?.() : constructor.name;
  const found = name === undefined ? undefined : known.get(name);
  byConstructor.set(constructor, found ?? "foreign");
  return found?.name;
}

/** A message of that class with these fields, or undefined where the class is not known. */
export function reviveMessage(name: string, fields: Record<string, unknown>): object | undefined {
  const known = classes().get(name);
  if (!known) return undefined;
  const message = Object.create(known.prototype) as Record<string | symbol, unknown>;
  for (const part of known.layout) {
    switch (part.kind) {
      case "constant":
        message[part.key] = part.value;
        break;
      case "namespace":
        message[part.key] = ["langchain_core", "messages"];
        break;
      case "kwargs":
        // What `toJSON` and `concat` read; a copy, since they may set fields on one of the two.
        message[part.key] = { ...fields };
        break;
      case "field":
        message[part.key] = fields[part.key];
        break;
    }
  }
  for (const key of Object.keys(fields)) if (!known.fields.has(key)) message[key] = fields[key];
  return message;
}
