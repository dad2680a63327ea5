/**
 * Whether to call a tool, and with what. A tool that is demanded is called. Otherwise the one whose
 * name and description share most words with the question is, unless none shares any, and unless
 * a tool has already answered since the question was asked.
 */

import type { ChatRequest, ToolCall, ToolDefinition } from "../wire.ts";
import type { Prompt } from "./prompt.ts";
import { fillObject } from "./schema.ts";
import { terms } from "./text.ts";

export function chooseToolCalls(request: ChatRequest, prompt: Prompt): ToolCall[] {
  const { tools = [], tool_choice: choice = "auto" } = request;
  if (choice === "none") return [];
  if (typeof choice === "object")
    return tools.filter((tool) => tool.function.name === choice.function.name).map(call);
  const best = mostFitting(tools, prompt.query);
  if (choice === "required")
    return [best ?? tools[0]].filter((tool) => tool !== undefined).map(call);
  const answered = request.messages.at(-1)?.role === "tool";
  return best && !answered ? [call(best)] : [];

  function call({ function: { name, parameters = {} } }: ToolDefinition): ToolCall {
    return { name, args: fillObject(parameters, prompt) };
  }
}

function mostFitting(tools: readonly ToolDefinition[], query: string): ToolDefinition | undefined {
  const wanted = new Set(terms(query));
  let best: { tool: ToolDefinition; shared: number } | undefined;
  for (const tool of tools) {
    const { name, description = "" } = tool.function;
    const own = new Set(terms(`${name.replace(/[_-]|(?<=[a-z])(?=[A-Z])/g, " ")} ${description}`));
    const shared = [...own].filter((word) => wanted.has(word)).length;
    if (shared > (best?.shared ?? 0)) best = { tool, shared };
  }
  return best?.tool;
}
