/** What is asked of a model: what makes two calls the same one, and about how long it is. */

import type { BaseMessage } from "@langchain/core/messages";
import { canonicalHash } from "../../canonical.ts";
import { withBound, type CallOptions, type Target } from "./target.ts";

/** Without what differs from run to run and says nothing to the model: ids, signals, headers. */
export function requestHash(
  target: Target,
  messages: readonly BaseMessage[],
  options: CallOptions,
): string {
  const { model, name } = target;
  const all = withBound(target, options);
  const { stop, tools, tool_choice, response_format } = all;
  const params = (model.invocationParams(all) ?? {}) as object;
  const request = {
    name,
    messages: messages.map(spoken),
    params: Object.keys(params).length > 0 ? params : { stop, tools, tool_choice, response_format },
  };
  try {
    return canonicalHash(request);
  } catch {
    // Tools that are code are told by what of them is data.
    return canonicalHash(JSON.parse(JSON.stringify(request)));
  }
}

function spoken(message: BaseMessage): object {
  const { content, name, additional_kwargs } = message;
  const { tool_calls, tool_call_id } = message as { tool_calls?: unknown; tool_call_id?: unknown };
  return { type: message.type, content, name, additional_kwargs, tool_calls, tool_call_id };
}

/** Near enough to the tokenizers of English. Those of providers have tables that would be downloaded. */
const CHARACTERS_PER_TOKEN = 4;
/** What a message costs beside its text. */
const TOKENS_PER_MESSAGE = 4;
/** An image, say. */
const TOKENS_PER_PART = 800;

export function tokensIn(characters: number): number {
  return Math.ceil(characters / CHARACTERS_PER_TOKEN);
}

/** About how many tokens a request has. */
export function estimateInput(
  target: Target,
  messages: readonly BaseMessage[],
  options: CallOptions,
): number {
  const { tools, response_format } = withBound(target, options);
  const spoken = messages.reduce((sum, message) => sum + TOKENS_PER_MESSAGE + sizeOf(message), 0);
  return spoken + tokensIn(lengthOf(tools) + lengthOf(response_format));
}

function sizeOf(message: BaseMessage): number {
  const { content } = message;
  const { tool_calls } = message as { tool_calls?: unknown[] };
  const calls = tool_calls === undefined || tool_calls.length === 0 ? 0 : lengthOf(tool_calls);
  if (typeof content === "string") return tokensIn(content.length + calls);
  return content.reduce((sum, part) => {
    const { text } = part as { text?: unknown };
    return sum + (typeof text === "string" ? tokensIn(text.length) : TOKENS_PER_PART);
  }, tokensIn(calls));
}

function lengthOf(value: unknown): number {
  if (value === undefined) return 0;
  try {
    return JSON.stringify(value).length;
  } catch {
    return 0;
  }
}
