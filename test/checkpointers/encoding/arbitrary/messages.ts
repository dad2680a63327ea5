/** Arbitrary messages of all of LangChain's classes, chunks included. */

import fc from "fast-check";
import {
  AIMessage,
  AIMessageChunk,
  ChatMessage,
  ChatMessageChunk,
  FunctionMessage,
  FunctionMessageChunk,
  HumanMessage,
  HumanMessageChunk,
  SystemMessage,
  SystemMessageChunk,
  ToolMessage,
  ToolMessageChunk,
  type BaseMessage,
  type ContentBlock,
} from "@langchain/core/messages";

const json = fc.dictionary(fc.string({ maxLength: 6 }), fc.jsonValue({ maxDepth: 1 }), {
  maxKeys: 3,
  noNullPrototype: true,
});

/** Content as text, as a provider's blocks, or as LangChain's own (version 1) blocks. */
const content: fc.Arbitrary<string | ContentBlock[]> = fc.oneof(
  fc.string(),
  fc.string({ minLength: 300, maxLength: 400 }),
  fc.array(
    fc.oneof(
      fc.string().map((text) => ({ type: "text", text })),
      fc.webUrl().map((url) => ({ type: "image_url", image_url: { url } })),
      fc.string().map((reasoning) => ({ type: "reasoning", reasoning })),
      fc.uint8Array().map((data) => ({ type: "image", mimeType: "image/png", data })),
    ),
    { maxLength: 3 },
  ),
);

/** As JSON is parsed: with a prototype. */
const PLAIN = { noNullPrototype: true };

const toolCall = fc.record(
  { name: fc.string(), args: json, id: fc.uuid(), type: fc.constant("tool_call" as const) },
  PLAIN,
);

const usage = fc.record(
  {
    input_tokens: fc.nat(),
    output_tokens: fc.nat(),
    total_tokens: fc.nat(),
    input_token_details: fc.record({ cache_read: fc.nat() }, PLAIN),
  },
  PLAIN,
);

export function messagesOf(value: fc.Arbitrary<unknown>): fc.Arbitrary<BaseMessage> {
  return fc
    .record(
      {
        base: fc.record(
          {
            content,
            id: fc.uuid(),
            name: fc.string(),
            additional_kwargs: json,
            response_metadata: json,
          },
          { requiredKeys: ["content"], noNullPrototype: true },
        ),
        ai: fc.record(
          {
            tool_calls: fc.array(toolCall, { maxLength: 2 }),
            usage_metadata: usage,
            invalid_tool_calls: fc.array(
              fc.record({ name: fc.string(), args: fc.string(), error: fc.string() }, PLAIN),
              { maxLength: 1 },
            ),
          },
          { requiredKeys: [], noNullPrototype: true },
        ),
        tool: fc.record(
          {
            artifact: value,
            status: fc.constantFrom("success" as const, "error" as const),
            metadata: json,
          },
          { requiredKeys: [], noNullPrototype: true },
        ),
        build: fc.constantFrom(...BUILDERS),
      },
      { requiredKeys: ["base", "ai", "tool", "build"] },
    )
    .map(({ base, ai, tool, build }) => build(base, ai, tool));
}

type Base = { content: string | ContentBlock[]; id?: string; name?: string };
type Builder = (base: Base, ai: object, tool: object) => BaseMessage;

/** Constructors change the object that they are given, so each gets one of its own. */
const BUILDERS: readonly Builder[] = [
  (base) => new HumanMessage({ ...base }),
  (base) => new HumanMessageChunk({ ...base }),
  (base) => new SystemMessage({ ...base }),
  (base) => new SystemMessageChunk({ ...base }),
  (base, ai) => new AIMessage({ ...base, ...ai }),
  (base, ai) => new AIMessageChunk({ ...base, ...ai }),
  (base) => new ChatMessage({ ...base, role: "critic" }),
  (base) => new ChatMessageChunk({ ...base, role: "critic" }),
  (base) => new FunctionMessage({ ...base, name: base.name ?? "f" }),
  (base) => new FunctionMessageChunk({ ...base, name: base.name ?? "f" }),
  (base, _, tool) => new ToolMessage({ ...base, ...tool, tool_call_id: "call-1" }),
  (base, _, tool) => new ToolMessageChunk({ ...base, ...tool, tool_call_id: "call-1" }),
  // Short forms leave out what the long ones set.
  ({ content }) => new HumanMessage(text(content)),
  ({ content }) => new AIMessage(text(content)),
  ({ content }) => new AIMessageChunk(text(content)),
  ({ content }) => new SystemMessage(text(content)),
  ({ content }) => new ToolMessage(text(content), "call-1", "name"),
];

function text(content: string | ContentBlock[]): string {
  return typeof content === "string" ? content : JSON.stringify(content);
}
