/**
 * LangChain messages as trees and back.
 *
 * A message is kept by its class and its own fields, not by LangChain's `toJSON`: that loses fields
 * set after construction, and loading it again runs constructors, which parse, warn and change what
 * they are given. Here a message is rebuilt field by field on the prototype of its class, in the
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

import { setOwn } from "./tree.ts";

/** The class name that is stored, and one instance to learn the layout from. */
const SAMPLES: ReadonlyMap<string, () => object> = new Map<string, () => object>([
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
]);

const MESSAGE = Symbol.for("langchain.message");

/** What each field of a class is: part of every instance alike, derived, or the message's own. */
type Part =
  | { key: string | symbol; kind: "constant"; value: unknown }
  | { key: string; kind: "namespace" | "kwargs" | "field" };

type Fields = Record<string, unknown>;
type Message = Record<string | symbol, unknown>;

export interface MessageClass {
  name: string;
  /**
   * Makes an instance from its fields, those of the class's layout in its order. The fields themselves
   * become its `lc_kwargs`, which `toJSON` and `concat` read.
   */
  make(fields: Fields): Message;
  /** Fields of the layout that hold data. */
  fields: ReadonlySet<string>;
  /** Those of them that few classes have. */
  rarer: readonly string[];
  prototype: object;
  /** The enumerable properties of an instance as the constructor lays them out. */
  keys: readonly string[];
}

const COMMON_FIELDS: ReadonlySet<string> = new Set([
  ...["id", "name", "content", "additional_kwargs", "response_metadata"],
  ...["tool_calls", "invalid_tool_calls", "usage_metadata"],
]);

const byName = new Map<string, MessageClass>();
const byConstructor = new WeakMap<object, MessageClass | "foreign">();

/** One of LangChain's classes of messages, by the name under which it is stored. */
export function classOfMessage(name: string): MessageClass | undefined {
  const known = byName.get(name);
  if (known !== undefined) return known;
  const sample = SAMPLES.get(name);
  if (sample === undefined) return undefined;
  const instance = sample() as Message;
  const layout = Reflect.ownKeys(instance).map((key) => partOf(instance, key));
  const fields = layout.filter((part) => part.kind === "field").map((part) => part.key as string);
  const made: MessageClass = {
    name,
    make: makerOf(instance, layout),
    fields: new Set(fields),
    rarer: fields.filter((key) => !COMMON_FIELDS.has(key)),
    prototype: Object.getPrototypeOf(instance) as object,
    keys: Object.keys(instance),
  };
  byName.set(name, made);
  byConstructor.set(instance.constructor, made);
  return made;
}

function partOf(instance: Message, key: string | symbol): Part {
  const value = instance[key];
  if (typeof key === "symbol") return { key, kind: "constant", value };
  if (key === "lc_namespace") return { key, kind: "namespace" };
  if (key === "lc_kwargs") return { key, kind: "kwargs" };
  return isDerivedField(key) ? { key, kind: "constant", value } : { key, kind: "field" };
}

/**
 * Chats are full of human and AI messages, so those two layouts are written out, which is several
 * times as fast; checked against the class as it is, so that another version of it is made field by
 * field like all others.
 */
function makerOf(instance: Message, layout: readonly Part[]): (fields: Fields) => Message {
  const prototype = Object.getPrototypeOf(instance) as object;
  const { type } = instance;
  const Plain = function (this: Message, fields: Fields): void {
    layBase(this, fields);
    this["type"] = type;
    this[MESSAGE] = true;
  } as unknown as new (fields: Fields) => Message;
  const Answer = function (this: Message, fields: Fields): void {
    layBase(this, fields);
    this["type"] = type;
    this["tool_calls"] = fields["tool_calls"];
    this["invalid_tool_calls"] = fields["invalid_tool_calls"];
    this["usage_metadata"] = fields["usage_metadata"];
    this[MESSAGE] = true;
  } as unknown as new (fields: Fields) => Message;
  for (const Shape of [Plain, Answer]) {
    Shape.prototype = prototype;
    const keys = Reflect.ownKeys(new Shape({}));
    if (keys.length === layout.length && keys.every((key, i) => key === layout[i]?.key)) {
      return (fields) => new Shape(fields);
    }
  }
  return (fields) => makeByLayout(prototype, layout, fields);
}

function layBase(message: Message, fields: Fields): void {
  message["lc_serializable"] = true;
  message["lc_kwargs"] = fields;
  message["lc_namespace"] = ["langchain_core", "messages"];
  message["id"] = fields["id"];
  message["name"] = fields["name"];
  message["content"] = fields["content"];
  message["additional_kwargs"] = fields["additional_kwargs"];
  message["response_metadata"] = fields["response_metadata"];
}

function makeByLayout(prototype: object, layout: readonly Part[], fields: Fields): Message {
  const message = Object.create(prototype) as Message;
  for (const part of layout) {
    switch (part.kind) {
      case "constant":
        message[part.key] = part.value;
        break;
      case "namespace":
        message[part.key] = ["langchain_core", "messages"];
        break;
      case "kwargs":
        message[part.key] = fields;
        break;
      case "field":
        message[part.key] = fields[part.key];
        break;
    }
  }
  return message;
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
  const constructor = value.constructor as { name: string; lc_name?: () => string };
  const cached = byConstructor.get(constructor);
  if (cached !== undefined) return cached === "foreign" ? undefined : cached.name;
  const name = Object.hasOwn(constructor, "lc_name") ? constructor.lc_name?.() : constructor.name;
  const found = name === undefined ? undefined : classOfMessage(name);
  byConstructor.set(constructor, found ?? "foreign");
  return found?.name;
}

/** A message of that class with these fields, or undefined where the class is not known. */
export function reviveMessage(name: string, fields: Fields): object | undefined {
  const known = classOfMessage(name);
  if (known === undefined) return undefined;
  const message = known.make(fields);
  for (const key in fields) {
    // What follows from the class is not the row's to say.
    if (!known.fields.has(key) && !isDerivedField(key)) setOwn(message, key, fields[key]);
  }
  return message;
}
