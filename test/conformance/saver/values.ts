/** Values that a saver must give back exactly, and values that it must refuse. */

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
  type BaseMessage,
} from "@langchain/core/messages";

export const LONG = "long text with 漢字 and 😀, ".repeat(400);

/** Plain data and JavaScript's own types. */
export const VALUES: [name: string, make: () => unknown][] = [
  ["null", () => null],
  ["booleans", () => [true, false]],
  ["numbers", () => [0, -1.5, 2 ** 53 - 1, 1e21, 5e-324, 1.7976931348623157e308]],
  ["NaN and the infinities", () => [NaN, Infinity, -Infinity]],
  ["minus zero", () => ({ zero: -0, list: [-0, 0] })],
  ["strings", () => ["", " ", "\n\r\t", "é", "漢字", "😀", "\u2028\u2029"]],
  ["a string of a megabyte", () => "0123456789abcdef".repeat(65_536)],
  ["NUL characters", () => ({ "k\0ey": "a\0b", end: "\0", only: ["\0\0"] })],
  ["lone surrogates", () => ({ "\ud800": "\udfff", mixed: "a\ud83d", list: ["\udc00\ud800"] })],
  ["long text with a lone surrogate", () => `${LONG}\ud800${LONG}`],
  ["long text with NUL", () => `${LONG}\0${LONG}`],
  ["undefined in an object", () => ({ a: undefined, b: 1, c: { d: undefined } })],
  ["undefined in an array", () => [undefined, 1, undefined, [undefined]]],
  ["big integers", () => [0n, -5n, 2n ** 200n, -(2n ** 64n)]],
  [
    "dates",
    () => [new Date(0), new Date(-1), new Date(8.64e15), new Date("2026-02-03T04:05:06.789Z")],
  ],
  ["an invalid date", () => [new Date(NaN)]],
  [
    "a Map",
    () =>
      new Map<unknown, unknown>([
        ["b", 1],
        ["a", new Map([[1, 2]])],
        [NaN, undefined],
      ]),
  ],
  [
    "a Map with objects as keys",
    () =>
      new Map<unknown, unknown>([
        [{ k: 1 }, [2]],
        [[3], { v: 4 }],
      ]),
  ],
  ["a Set", () => new Set<unknown>(["b", "a", 1, new Set([null]), { x: 1 }])],
  ["empty containers", () => [{}, [], new Map(), new Set(), new Uint8Array(0), ""]],
  ["a Buffer", () => Buffer.from([0, 1, 2, 255])],
  ["a large Buffer", () => Buffer.alloc(20_000, "x")],
  ["a Uint8Array", () => Uint8Array.of(0, 127, 255)],
  ["a large Uint8Array", () => Uint8Array.from({ length: 30_000 }, (_, i) => i % 251)],
  ["a view into a larger buffer", () => new Uint8Array([9, 1, 2, 3, 9]).subarray(1, 4)],
  ["a Buffer that is a view", () => Buffer.from("xhellox").subarray(1, 6)],
  ["an ArrayBuffer", () => Uint8Array.of(1, 2, 3).buffer],
  ["a DataView", () => new DataView(Uint8Array.of(1, 2, 3, 4).buffer)],
  [
    "typed arrays",
    () => [
      Int8Array.of(-1, 1),
      Uint8ClampedArray.of(0, 255),
      Int16Array.of(-300, 300),
      Uint16Array.of(65_535),
      Int32Array.of(-70_000),
      Uint32Array.of(4_000_000_000),
      Float32Array.of(1.5, NaN),
      Float64Array.of(-0, Math.PI, -Infinity),
      BigInt64Array.of(-5n),
      BigUint64Array.of(2n ** 63n),
    ],
  ],
  ["nested objects", () => ({ a: { b: { c: [{ d: [[1], [2, { e: null }]] }] } } })],
  ["100 levels of nesting", () => nest(100)],
  ["keys in their order", () => ({ z: 1, a: 2, "10": 3, "9": 4, m: 5 })],
  [
    "odd keys",
    () => ({
      "": 1,
      constructor: 2,
      prototype: 3,
      toString: 4,
      hasOwnProperty: 5,
      $: 6,
      length: 7,
    }),
  ],
  [
    "a key named __proto__",
    () => JSON.parse('{"__proto__":{"polluted":true},"a":{"__proto__":1}}') as unknown,
  ],
  ["what looks like our own encoding", () => ({ $: "u", v: { $: "p", h: "00" }, k: ["$"] })],
  [
    "what looks like LangChain's encoding",
    () => ({
      message: {
        lc: 1,
        type: "constructor",
        id: ["langchain_core", "messages", "HumanMessage"],
        kwargs: { content: "x" },
      },
      missing: { lc: 2, type: "undefined" },
      set: { lc: 2, type: "constructor", id: ["Set"], method: null, args: [[1]], kwargs: {} },
      secret: { lc: 1, type: "secret", id: ["OPENAI_API_KEY"] },
      prompt: {
        lc: 1,
        type: "constructor",
        id: ["langchain", "prompts", "PromptTemplate"],
        kwargs: {},
      },
    }),
  ],
  ["what looks like a message", () => ({ type: "human", content: "x", id: "1" })],
  ["one object at two places", () => twice({ shared: [1] })],
  ["a list of 2,000", () => Array.from({ length: 2_000 }, (_, i) => ({ i, text: `item ${i}` }))],
  ["a map of 600 files", () => files(600)],
  ["data URLs of images", () => ({ url: `data:image/png;base64,${"iVBORw0KGgo".repeat(900)}` })],
];

function nest(levels: number): unknown {
  return levels === 0 ? "bottom" : { [`level${levels}`]: [nest(levels - 1)] };
}

function twice(value: unknown): unknown {
  return { first: value, second: value, list: [value, value] };
}

function files(count: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`dir/${i}.md`, `${i} ${LONG.slice(i, i + 2_500)}`]),
  );
}

/** Every kind of message, with all that it can carry. */
export const MESSAGES: [name: string, make: () => BaseMessage][] = [
  [
    "a HumanMessage",
    () =>
      new HumanMessage({ id: "h", content: "hello", name: "ada", additional_kwargs: { a: [1] } }),
  ],
  [
    "a HumanMessage with content blocks",
    () =>
      new HumanMessage({
        content: [
          { type: "text", text: LONG },
          { type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "low" } },
        ],
      }),
  ],
  [
    "an AIMessage with tool calls and usage",
    () =>
      aiMessage({
        id: "ai",
        content: "",
        name: "bot",
        tool_calls: [
          {
            id: "c1",
            name: "search",
            args: { q: "x", deep: { list: [1, null] } },
            type: "tool_call",
          },
        ],
        invalid_tool_calls: [
          { id: "c2", name: "broken", args: "{", error: "no JSON", type: "invalid_tool_call" },
        ],
        usage_metadata: {
          input_tokens: 5,
          output_tokens: 7,
          total_tokens: 12,
          input_token_details: { cache_read: 2 },
          output_token_details: { reasoning: 3 },
        },
        response_metadata: { model_name: "m", finish_reason: "tool_calls", logprobs: null },
        additional_kwargs: {
          refusal: null,
          tool_calls: [
            { id: "c1", function: { name: "search", arguments: "{}" }, type: "function" },
          ],
        },
      }),
  ],
  [
    "an AIMessage with content blocks",
    () =>
      aiMessage({
        content: [
          { type: "reasoning", reasoning: "hmm" },
          { type: "text", text: "so", annotations: [{ type: "citation", url: "https://a.b" }] },
        ],
        response_metadata: { output_version: "v1" },
      }),
  ],
  ["a SystemMessage", () => new SystemMessage({ id: "s", content: "be good" })],
  [
    "a ToolMessage",
    () =>
      new ToolMessage({
        id: "t",
        content: LONG,
        tool_call_id: "c1",
        name: "search",
        status: "error",
        artifact: { rows: [[1, "a"]], raw: new Map([["k", 1n]]) },
        metadata: { took: 5 },
      }),
  ],
  ["a ChatMessage", () => new ChatMessage({ content: "hi", role: "critic", id: "c" })],
  ["a FunctionMessage", () => new FunctionMessage({ content: "42", name: "f", id: "f" })],
  ["a RemoveMessage", () => new RemoveMessage({ id: "gone" })],
  ["a HumanMessageChunk", () => new HumanMessageChunk({ content: "par", id: "hc" })],
  [
    "an AIMessageChunk with tool call chunks",
    () =>
      new AIMessageChunk({
        id: "ac",
        content: "par",
        tool_call_chunks: [
          { id: "c1", name: "sea", args: '{"q":', index: 0, type: "tool_call_chunk" },
        ],
        response_metadata: { x: 1 },
      }),
  ],
  ["a SystemMessageChunk", () => new SystemMessageChunk({ content: "be" })],
  [
    "a ToolMessageChunk",
    () => new ToolMessageChunk({ content: "re", tool_call_id: "c1", artifact: [1] }),
  ],
  ["a ChatMessageChunk", () => new ChatMessageChunk({ content: "h", role: "critic" })],
  ["a FunctionMessageChunk", () => new FunctionMessageChunk({ content: "4", name: "f" })],
  [
    "a message changed after it was made",
    () => {
      const message = new HumanMessage({ content: "before", id: "x" });
      message.content = "after";
      message.response_metadata = { added: true };
      message.additional_kwargs["later"] = [1];
      return message;
    },
  ],
];

/** LangChain's types know no usage for an untyped message. */
function aiMessage(fields: object): AIMessage {
  return new AIMessage(fields);
}

class Account {
  readonly owner = "ada";
}

/** Values that no saver can keep, and where in them the trouble is. */
export const REFUSED: [name: string, make: () => unknown, path: string][] = [
  ["a function", () => ({ a: [0, { callback: () => 1 }] }), ".a[1].callback"],
  ["a symbol", () => ({ kind: Symbol("s") }), ".kind"],
  ["a symbol as a key", () => ({ inner: { [Symbol("s")]: 1 } }), ".inner"],
  ["a cycle", () => cycle(), ".child.parent"],
  ["an array that holds itself", () => loop(), "[1]"],
  ["a Map that holds itself", () => selfMap(), ""],
  ["a throwing toJSON", () => ({ bad: { toJSON: (): never => fail() } }), ".bad.toJSON"],
  ["an instance of a class", () => ({ account: new Account() }), ".account"],
  ["a URL", () => ["x", new URL("https://a.b/c")], "[1]"],
  ["a RegExp", () => ({ "odd key": /x/gu }), '["odd key"]'],
  ["a promise", () => ({ later: Promise.resolve(1) }), ".later"],
  ["a WeakMap", () => ({ weak: new WeakMap() }), ".weak"],
  ["a generator", () => ({ g: (function* () {})() }), ".g"],
  ["a class", () => ({ Account }), ".Account"],
  ["a function in a Map", () => ({ map: new Map([["f", () => 1]]) }), ".map"],
  ["a function in a Set", () => ({ set: new Set([() => 1]) }), ".set"],
  [
    "a function in a message",
    () => new HumanMessage({ content: "x", additional_kwargs: { f: () => 1 } }),
    ".additional_kwargs.f",
  ],
  [
    "a function in an error",
    () => ({ error: Object.assign(new Error("x"), { retry: () => 1 }) }),
    ".error",
  ],
];

function cycle(): unknown {
  const root: Record<string, unknown> = { name: "root" };
  root["child"] = { parent: root };
  return root;
}

function loop(): unknown {
  const list: unknown[] = [1];
  list.push(list);
  return list;
}

function selfMap(): unknown {
  const map = new Map<string, unknown>();
  map.set("self", map);
  return map;
}

function fail(): never {
  throw new Error("toJSON failed");
}
