/** Arbitrary values: every kind that the saver stores, nested, with keys and strings that hurt. */

import fc from "fast-check";
import { RemoveMessage } from "@langchain/core/messages";
import { Document } from "@langchain/core/documents";
import { DeltaSnapshot } from "@langchain/langgraph-checkpoint";
import { Overwrite, Send } from "@langchain/langgraph";
import { errorsOf } from "./errors.ts";
import { messagesOf } from "./messages.ts";

/** Any sequence of UTF-16 code units: NUL and lone surrogates among them. */
export const anyText: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 0x20, max: 0x7e }) },
      { weight: 1, arbitrary: fc.constantFrom(0, 0xd800, 0xdc00, 0xdfff, 0xfeff, 0xffff, 0x2028) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffff }) },
    ),
    { maxLength: 12 },
  )
  .map((units) => String.fromCharCode(...units));

/** About the length at which strings become payloads, and beyond. */
const longText = fc
  .tuple(anyText, fc.integer({ min: 200, max: 700 }))
  .map(([text, length]) => `${text}-`.repeat(length).slice(0, length));

export const text: fc.Arbitrary<string> = fc.oneof(
  { weight: 5, arbitrary: anyText },
  { weight: 1, arbitrary: longText },
);

/** Names that mean something: to JavaScript, to JSON, to the tree. */
const HOSTILE = [
  ...["__proto__", "constructor", "prototype", "hasOwnProperty", "toJSON", "then", "length"],
  ...["$", "$$", "v", "k", "h", "p", "l", "a", "m", "s", "r", "w", "lc", "lg_name", "type"],
  ...["", "0", "1", "2", "10", "01", "-1", "1.5", "1e3", "4294967294", "4294967295", "999999999"],
  ...["\0", "\ud800", "\udc00x", "__overwrite__", "__interrupt__"],
];

export const key: fc.Arbitrary<string> = fc.oneof(fc.constantFrom(...HOSTILE), anyText);

/** What the tree itself might be mistaken for. */
const tagName = fc.constantFrom(..."unidMSbemcsOCDtopw", "", "$", "p$");

/** An object with these own keys, `__proto__` included, in this order. */
export function objectOf(entries: Iterable<readonly [string, unknown]>): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const [name, value] of entries) {
    Object.defineProperty(object, name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return object;
}

const VIEWS = [
  ...[Uint8Array, Uint8ClampedArray, Int8Array, Uint16Array, Int16Array, Uint32Array, Int32Array],
  ...[Float32Array, Float64Array, BigInt64Array, BigUint64Array],
] as const;

/** Typed arrays that begin in the middle of their buffer; Buffers that share Node's pool. */
export const bytes: fc.Arbitrary<unknown> = fc
  .tuple(
    fc.uint8Array({ maxLength: 400 }),
    fc.constantFrom("Buffer", "pooled", "ArrayBuffer", "DataView", ...VIEWS.map((V) => V.name)),
    fc.constantFrom(0, 8, 16),
  )
  .map(([content, kind, offset]) => {
    const length = content.length - (content.length % 8);
    const whole = new Uint8Array(offset + length + 3).fill(0xee);
    whole.set(content.subarray(0, length), offset);
    const { buffer } = whole;
    if (kind === "Buffer") return Buffer.from(buffer, offset, length);
    if (kind === "pooled") return Buffer.from(content.toString());
    if (kind === "ArrayBuffer") return buffer.slice(offset, offset + length);
    if (kind === "DataView") return new DataView(buffer, offset, length);
    const View = VIEWS.find((candidate) => candidate.name === kind) ?? Uint8Array;
    return new View(buffer, offset, length / View.BYTES_PER_ELEMENT);
  });

export const leaf: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: text },
  { weight: 2, arbitrary: fc.double() },
  { weight: 2, arbitrary: fc.integer() },
  { weight: 1, arbitrary: fc.constantFrom(-0, NaN, Infinity, -Infinity, 2 ** 53, 5e-324) },
  { weight: 1, arbitrary: fc.constantFrom(true, false, null, undefined) },
  { weight: 1, arbitrary: fc.bigInt() },
  { weight: 1, arbitrary: fc.date({ noInvalidDate: false }) },
  { weight: 1, arbitrary: bytes },
);

const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => {
  const value = tie("value");
  const list = fc.array(value, { maxLength: 4 });
  const object = fc.array(fc.tuple(key, value), { maxLength: 5 }).map(objectOf);
  const likeTag = fc
    .tuple(tagName, value, anyText, fc.shuffledSubarray(["$", "v", "k", "h", "extra"]))
    .map(([tag, content, name, keys]) => {
      const fields: Record<string, unknown> = { $: tag, v: content, k: name, h: name, extra: 1 };
      return objectOf(keys.map((field) => [field, fields[field]]));
    });
  return {
    value: fc.oneof(
      { maxDepth: 4, depthSize: "medium", withCrossShrink: true },
      { weight: 6, arbitrary: leaf },
      { weight: 3, arbitrary: list },
      { weight: 4, arbitrary: object },
      { weight: 1, arbitrary: likeTag },
      { weight: 1, arbitrary: fc.array(fc.tuple(value, value)).map((pairs) => new Map(pairs)) },
      { weight: 1, arbitrary: list.map((items) => new Set(items)) },
      { weight: 1, arbitrary: errorsOf(value) },
      { weight: 1, arbitrary: messagesOf(value) },
      { weight: 1, arbitrary: fc.uuid().map((id) => new RemoveMessage({ id })) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(text, object, fc.option(fc.uuid(), { nil: undefined }))
          .map(
            ([pageContent, metadata, id]) =>
              new Document({ pageContent, metadata, ...(id === undefined ? {} : { id }) }),
          ),
      },
      { weight: 1, arbitrary: fc.tuple(anyText, value).map(([node, args]) => sendOf(node, args)) },
      { weight: 1, arbitrary: value.map((content) => new Overwrite(content)) },
      { weight: 1, arbitrary: value.map((content) => new DeltaSnapshot(content)) },
    ),
  };
});

/** LangGraph's constructor rebuilds what it is given, and loses an own `__proto__`. */
function sendOf(node: string, args: unknown): Send {
  const send = new Send<string, unknown>(node, undefined);
  send.args = args;
  return send;
}

export const value: fc.Arbitrary<unknown> = anyValue;
