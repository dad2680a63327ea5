/**
 * The part of OpenAI's chat-completions wire format that the loopback server speaks: what a client
 * sends, and how an answer looks whole and as a stream.
 */

/** JSON as it comes from the wire. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export interface ToolCall {
  name: string;
  args: Record<string, unknown>;
  /** Made up from the call's place in the answer unless given. */
  id?: string;
}

export interface ChatMessage {
  role: "system" | "developer" | "user" | "assistant" | "tool";
  content?: string | { type: string; text?: string }[] | null;
  tool_calls?: { id: string; type: "function"; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
}

/** A JSON schema, as far as the server reads it. */
export interface JsonSchema {
  type?: string | string[];
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  enum?: Json[];
  const?: Json;
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
  definitions?: Record<string, JsonSchema>;
  description?: string;
  minItems?: number;
  maxItems?: number;
  minimum?: number;
  maximum?: number;
  [keyword: string]: unknown;
}

export interface ToolDefinition {
  type: "function";
  function: { name: string; description?: string; parameters?: JsonSchema };
}

/** The body of a POST to /v1/chat/completions. */
export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
  tools?: ToolDefinition[];
  tool_choice?: "none" | "auto" | "required" | { type: "function"; function: { name: string } };
  response_format?: {
    type: "text" | "json_object" | "json_schema";
    json_schema?: { name: string; schema?: JsonSchema };
  };
  [option: string]: unknown;
}

/** What the model says. */
export interface ChatAnswer {
  content?: string;
  toolCalls?: ToolCall[];
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

/** The text of one message, its text parts joined. */
export function textOf(message: ChatMessage): string {
  const { content } = message;
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("\n");
}

/** Four characters to a token: near enough to OpenAI's tokenizers for English, and repeatable. */
function countTokens(text: string): number {
  return Math.ceil(text.length / 4);
}

/** Usage computed from the texts, with OpenAI's few tokens of overhead for each message. */
export function usageOf(request: ChatRequest, answer: ChatAnswer): Usage {
  const prompt_tokens = request.messages.reduce(
    (sum, message) =>
      sum + 4 + countTokens(textOf(message) + JSON.stringify(message.tool_calls ?? "")),
    countTokens(JSON.stringify([request.tools ?? "", request.response_format ?? ""])),
  );
  const said = (answer.content ?? "") + JSON.stringify(answer.toolCalls ?? "");
  const completion_tokens = Math.max(1, countTokens(said));
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}

/** What is equal in the whole answer and in each chunk of a stream. */
export interface Envelope {
  id: string;
  model: string;
  created: number;
}

const finishReason = (answer: ChatAnswer): string =>
  answer.toolCalls && answer.toolCalls.length > 0 ? "tool_calls" : "stop";

const wireCalls = (id: string, calls: readonly ToolCall[]) =>
  calls.map((call, index) => ({
    id: call.id ?? `call_${id}_${index}`,
    type: "function" as const,
    function: { name: call.name, arguments: JSON.stringify(call.args) },
  }));

/** The body of an answer that is not streamed. */
export function completionBody(envelope: Envelope, request: ChatRequest, answer: ChatAnswer) {
  const toolCalls = wireCalls(envelope.id, answer.toolCalls ?? []);
  return {
    ...envelope,
    object: "chat.completion",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: answer.content ?? null,
          refusal: null,
          ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
        },
        logprobs: null,
        finish_reason: finishReason(answer),
      },
    ],
    usage: usageOf(request, answer),
  };
}

/** The chunks of a streamed answer, in order: role, text in pieces, tool calls in pieces, the end. */
export function* completionChunks(envelope: Envelope, request: ChatRequest, answer: ChatAnswer) {
  const chunk = (choices: unknown[], usage?: Usage | null) => ({
    ...envelope,
    object: "chat.completion.chunk",
    choices,
    ...(usage !== undefined && { usage }),
  });
  const wantsUsage = request.stream_options?.include_usage === true;
  const delta = (value: Record<string, unknown>, finish_reason: string | null = null) =>
    chunk(
      [{ index: 0, delta: value, logprobs: null, finish_reason }],
      wantsUsage ? null : undefined,
    );

  yield delta({ role: "assistant", content: answer.toolCalls ? null : "" });
  for (const piece of pieces(answer.content ?? "")) yield delta({ content: piece });
  for (const [index, call] of wireCalls(envelope.id, answer.toolCalls ?? []).entries()) {
    const { arguments: args, name } = call.function;
    yield delta({
      tool_calls: [{ index, id: call.id, type: call.type, function: { name, arguments: "" } }],
    });
    for (const piece of pieces(args))
      yield delta({ tool_calls: [{ index, function: { arguments: piece } }] });
  }
  yield delta({}, finishReason(answer));
  if (wantsUsage) yield chunk([], usageOf(request, answer));
}

/** Word by word, each with the space that follows it, so that joining them gives the text back. */
function pieces(text: string): string[] {
  return text.match(/\s*\S+\s*/g) ?? (text === "" ? [] : [text]);
}

/** The names that OpenAI gives to its errors, by status. */
const ERROR_KINDS: Record<number, { type: string; code: string | null; message: string }> = {
  400: { type: "invalid_request_error", code: null, message: "The request is not valid." },
  401: {
    type: "invalid_request_error",
    code: "invalid_api_key",
    message: "Incorrect API key provided.",
  },
  404: { type: "invalid_request_error", code: "not_found", message: "There is nothing here." },
  429: { type: "requests", code: "rate_limit_exceeded", message: "Rate limit reached." },
  503: { type: "server_error", code: null, message: "The server is overloaded." },
};

/** The body that OpenAI sends with an error of this status. */
export function errorBody(status: number, message?: string) {
  const kind = ERROR_KINDS[status] ?? {
    type: status >= 500 ? "server_error" : "invalid_request_error",
    code: null,
    message: `Scripted failure with status ${status}.`,
  };
  return { error: { ...kind, message: message ?? kind.message, param: null } };
}
